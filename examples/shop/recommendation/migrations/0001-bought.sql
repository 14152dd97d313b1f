-- In how many orders a product was, and in how many with which other.
create table bought (
  product_id text primary key,
  order_count integer not null
);
create index bought_by_count on bought (order_count desc, product_id);
create table bought_together (
  product_id text not null,
  other_id text not null,
  order_count integer not null,
  primary key (product_id, other_id)
);
create index bought_together_by_count on bought_together (product_id, order_count desc, other_id);
