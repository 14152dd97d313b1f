-- Accounts are spread over servers by their id, and no index reaches over two of them: that an address is one person's is
-- said by the directory from here on. A process of the version before cannot sign anybody up any more; all else it can do.
alter table accounts drop constraint accounts_email_key;

-- Accounts from before live beside the directory, in one database, and claim their addresses here. On a new shard there is
-- none, and no directory either: the statement is not even read there.
do $$ begin
  if exists (select from accounts) then
    with claimed as (
      insert into plinth_shards.claims (service, name, value, key, token, state, expires_at)
      select 'accounts', 'email', email, id, gen_random_uuid(), 'confirmed', now() from accounts
      returning token, value, key
    )
    insert into plinth_claims (token, name, value, state, shard_key)
    select token, 'email', value, 'confirmed', key from claimed;
  end if;
end $$;
