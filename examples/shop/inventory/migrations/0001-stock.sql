-- Everything that ever came in is still here, promised to somebody, or sold. The checks are the last word: no program
-- that is wrong can sell what is not there.
create table stock (
  product_id text primary key,
  received bigint not null default 0 check (received >= 0),
  available bigint not null default 0 check (available >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  sold bigint not null default 0 check (sold >= 0),
  -- Grows with each change, so that who hears of two can tell which is the later.
  version bigint not null default 0,
  check (available + reserved + sold = received)
);
-- What came in, by the supplier's own name for the delivery: each counts once.
create table deliveries (
  product_id text not null references stock,
  delivery_id text not null,
  quantity integer not null check (quantity > 0),
  created_at timestamptz not null default now(),
  primary key (product_id, delivery_id)
);
create table reservations (
  -- The caller's key: one reservation for each. One that was released before it came has a row without items.
  key text primary key,
  status text not null check (status in ('reserved', 'sold', 'released')),
  -- Product to quantity.
  items jsonb not null default '{}',
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index reservations_overdue on reservations (expires_at) where status = 'reserved';
