create table shipments (
  -- One for each order.
  order_id text primary key,
  account_id text not null,
  tracking_id text not null unique,
  country text not null,
  shipped_at timestamptz not null default now(),
  delivered_at timestamptz
);
