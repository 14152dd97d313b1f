-- What sending it costs, in euro cents. Orders of before were sent free.
alter table orders add column delivery_cents bigint not null default 0 check (delivery_cents >= 0);
