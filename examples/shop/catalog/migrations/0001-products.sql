create table products (
  id text primary key,
  name text not null,
  description text not null,
  category text not null,
  price_cents integer not null check (price_cents > 0)
);
create index products_by_name on products (name, id);
create index products_by_category on products (category, name, id);
