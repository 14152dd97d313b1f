create table orders (
  id text primary key,
  account_id text not null,
  -- The customer's Idempotency-Key: the same order sent twice is bought once.
  request_key text,
  -- pending -> placed, or pending -> failing -> failed. A declined card leaves no row.
  status text not null check (status in ('pending', 'placed', 'failing', 'failed')),
  items jsonb not null,
  total_amount bigint not null check (total_amount >= 0),
  total_currency text not null,
  ship_to jsonb not null,
  charge_id text check (status <> 'placed' or charge_id is not null),
  created_at timestamptz not null default now(),
  placed_at timestamptz check (status <> 'placed' or placed_at is not null),
  unique (account_id, request_key)
);
-- Ids begin with the time, so this is newest first.
create index orders_by_account on orders (account_id, id desc);
