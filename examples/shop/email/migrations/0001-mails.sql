create table mails (
  id text primary key,
  order_id text not null,
  recipient text not null,
  subject text not null,
  html text not null,
  written_at timestamptz,
  created_at timestamptz not null default now()
);
create index mails_by_order on mails (order_id);
create index mails_to_write on mails (created_at) where written_at is null;
