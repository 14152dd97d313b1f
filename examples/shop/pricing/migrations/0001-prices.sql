-- What a product costs by itself, tax included as customers see it. Everything else is reckoned in rules.ts.
create table prices (
  product_id text primary key,
  base_cents integer not null check (base_cents > 0),
  discount_percent integer not null default 0 check (discount_percent between 0 and 90),
  tax_percent integer not null default 19 check (tax_percent between 0 and 30),
  changed_at timestamptz not null default now()
);
