-- What was heard, in the order in which it was written down: no constraint would keep a line from being there twice.
create table lines (
  id bigint generated always as identity primary key,
  page text not null,
  line integer not null
);
