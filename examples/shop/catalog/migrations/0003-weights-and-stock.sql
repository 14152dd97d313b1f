-- Prices are pricing's now. The column goes with the next release, when nothing that runs reads it any more.
alter table products alter column price_cents drop not null;
alter table products add column grams integer not null default 500 check (grams > 0);
-- What inventory announced last, and which of its announcements that was.
alter table products add column stock_level text not null default 'plenty' check (stock_level in ('plenty', 'low', 'none'));
alter table products add column stock_version bigint not null default 0;
update products set grams = case category
  when 'kitchen' then 1200 when 'home' then 1500 when 'garden' then 1400 when 'office' then 900 when 'travel' then 700
  else 600 end;
