create table payments (id text primary key, ref text not null, cents integer not null);
create index payments_ref on payments (ref);
