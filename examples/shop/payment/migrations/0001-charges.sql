-- What a key has charged. A key that was given back before it charged anything has a row without an amount.
create table charges (
  -- The caller's key: one charge for each, however often it is asked for.
  key text primary key,
  id text not null unique,
  amount bigint check (amount >= 0),
  currency text,
  last4 text,
  refunded_at timestamptz,
  created_at timestamptz not null default now(),
  check (refunded_at is not null or (amount is not null and currency is not null and last4 is not null))
);
