create table accounts (
  id text primary key,
  -- In small letters: one person, one account.
  email text not null unique,
  name text not null,
  password text not null,
  created_at timestamptz not null default now()
);
