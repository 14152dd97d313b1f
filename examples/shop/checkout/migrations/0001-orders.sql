create table orders (
  id text primary key,
  account_id text not null,
  status text not null check (status in ('pending', 'placed', 'failed')),
  items jsonb not null,
  total_amount bigint not null check (total_amount >= 0),
  total_currency text not null,
  ship_to jsonb not null,
  charge_id text,
  placed_at timestamptz not null default now()
);
create index orders_by_account on orders (account_id, placed_at desc, id desc);
