-- The last line of each page.
create table pages (
  page text primary key,
  last integer not null
);
