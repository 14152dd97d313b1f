create table notes (id text primary key, version int not null);
