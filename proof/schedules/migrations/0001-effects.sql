-- No unique key on the tick: one that takes effect twice must be seen, not prevented.
create table effects (
  id bigint generated always as identity primary key,
  tick timestamptz not null,
  process int not null
);
