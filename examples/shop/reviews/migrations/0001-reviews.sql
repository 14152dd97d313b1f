-- Who has bought what: only they may write about it.
create table purchases (
  account_id text not null,
  product_id text not null,
  primary key (account_id, product_id)
);
create table reviews (
  id text primary key,
  product_id text not null,
  account_id text not null,
  author text not null,
  stars integer not null check (stars between 1 and 5),
  text text not null,
  created_at timestamptz not null default now(),
  unique (product_id, account_id)
);
-- Ids begin with the time, so this is newest first.
create index reviews_by_product on reviews (product_id, id desc);
-- The sum of all reviews of a product, changed together with them.
create table ratings (
  product_id text primary key,
  review_count integer not null check (review_count >= 0),
  star_sum integer not null check (star_sum between review_count and 5 * review_count)
);
