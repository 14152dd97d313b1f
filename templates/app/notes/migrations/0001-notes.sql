create table notes (
  id uuid primary key,
  text text not null,
  added_at timestamptz not null default now()
);

-- One row, kept up to date by the subscription to NoteAdded.
create table statistics (notes integer not null, words integer not null);
insert into statistics values (0, 0);
