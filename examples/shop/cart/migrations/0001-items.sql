create table items (
  account_id text not null,
  product_id text not null,
  quantity integer not null check (quantity between 1 and 99),
  added_at timestamptz not null default now(),
  primary key (account_id, product_id)
);
