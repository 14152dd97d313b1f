create table charges (
  id text primary key,
  -- The caller's key: one charge for each, however often it is asked for.
  key text not null unique,
  fingerprint text not null,
  amount bigint not null check (amount >= 0),
  currency text not null,
  last4 text not null,
  refunded_at timestamptz,
  created_at timestamptz not null default now()
);
