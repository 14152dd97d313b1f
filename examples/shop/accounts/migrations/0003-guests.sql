-- Whoever signed in with an identity provider has no password here.
alter table accounts alter column password drop not null;
