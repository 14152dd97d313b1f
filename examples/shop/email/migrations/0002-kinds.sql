-- There are two mails about an order now. Those of before confirmed it.
alter table mails add column kind text not null default 'order' check (kind in ('order', 'shipping'));
