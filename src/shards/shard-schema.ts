import type { Database, Migration } from "../database/index.ts";
import { migrate } from "../database/index.ts";
import { bucketCount, bucketSql } from "./bucket.ts";
import { fenceConstraint } from "./errors.ts";

/**
 * What sharding adds to a service's schema on each shard: the bucket function, the fence, and what a move leaves behind
 * while it runs. A set of its own, applied before the service's migrations, which may use `plinth_bucket`.
 *
 * **The fence** (`plinth_fence`) is the truth about who owns a bucket. `open`: rows may be written here. `fenced`: they
 * are here, nobody may write. `incoming`: a copy is being made, nothing to see yet. `away`: not here, and `moved_to` says
 * where it went. Of all shards, at most one has a bucket `open` or `fenced`. The epoch grows with each change of owner.
 *
 * `plinth_closing` asks new writers to hold back for a moment, so that a stream of them, each sharing the lock with the
 * one before, cannot keep a mover from ever getting it. It is a request: only the row in `plinth_fence` decides.
 *
 * **Transactions say whom they write for** in the setting `plinth.key`, local to the transaction: "=" or "+" and the
 * key, "+" when changes are to be captured; "*" for the mover, which moves what others wrote.
 */
const fence = `
${bucketSql};

create table plinth_fence (
  bucket integer primary key check (bucket between 0 and ${bucketCount - 1}),
  epoch bigint not null,
  state text not null check (state in ('open', 'fenced', 'incoming', 'away')),
  capture boolean not null default false,
  move bigint,
  moved_to text,
  changed_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

create table plinth_closing (
  bucket integer primary key,
  until timestamptz not null
);

-- Which rows changed since a move began to copy. Their state is read when they are applied, so order is nothing.
create table plinth_changes (
  seq bigint generated always as identity primary key,
  bucket integer not null,
  tbl text not null,
  pk text[] not null
);
create index plinth_changes_bucket on plinth_changes (bucket, seq);

-- The mover that may touch this shard for a move. A late one finds its epoch gone.
create table plinth_mover (
  move bigint primary key,
  epoch bigint not null
);

create table plinth_copied (
  move bigint not null,
  tbl text not null,
  bucket integer not null,
  after text[],
  done boolean not null default false,
  primary key (move, tbl, bucket)
);

-- Which shard of which directory this schema is.
create table plinth_shard (
  directory text not null,
  service text not null,
  name text not null
);
create unique index plinth_shard_one on plinth_shard ((true));
`;

const keys = `
-- The key that the running transaction writes for; NULL in others.
create function plinth_current_key() returns text language sql stable parallel restricted as $$
  select case when left(current_setting('plinth.key', true), 1) in ('=', '+')
    then substr(current_setting('plinth.key', true), 2) end
$$;

-- A write beside the router (psql, a migration): it takes the fence itself, row by row.
create function plinth_guard_unrouted(home text, key text) returns boolean language plpgsql as $$
declare captured boolean;
begin
  execute format('select capture from %I.plinth_fence where bucket = %I.plinth_bucket($1) and state = ''open'' for share', home, home)
    into captured using key;
  if captured is null then
    raise exception using errcode = 'P0001', constraint = '${fenceConstraint}',
      message = 'a row was written whose bucket is not open on this shard',
      hint = 'write through the sharded database, which knows where the key lives';
  end if;
  return captured;
end $$;

-- Rows of the platform that do not say for whom they are were written for the key of their transaction.
create function plinth_tag_key() returns trigger language plpgsql as $$
declare held text := current_setting('plinth.key', true);
begin
  if new.shard_key is null and left(held, 1) in ('=', '+') then new.shard_key := substr(held, 2); end if;
  return new;
end $$;

create function plinth_refuse_truncate() returns trigger language plpgsql as $$
begin
  raise exception using errcode = 'P0001', constraint = '${fenceConstraint}',
    message = format('%s is sharded: truncate would empty it on one shard, unseen by a move', tg_table_name),
    hint = 'delete the rows instead';
end $$;
`;

/** Local to the shard: the proof that a name was claimed, in the transaction that made it true. See claims.ts. */
const claims = `
create table plinth_claims (
  token uuid primary key,
  name text not null,
  value text not null,
  state text not null check (state in ('confirmed', 'void')),
  shard_key text not null,
  at timestamptz not null default clock_timestamp()
);
create index plinth_claims_void on plinth_claims (at) where state = 'void';
`;

/**
 * Old rows of the platform are deleted by sweepers, many at a time and past the router. One row whose bucket is closed
 * is left for the next time, so that it does not keep the others.
 */
const sweeps = `
create function plinth_spare_closed() returns trigger language plpgsql as $$
declare
  held text := current_setting('plinth.key', true);
  is_open boolean;
begin
  if held = '*' or old.shard_key is null or substr(held, 2) = old.shard_key then return old; end if;
  execute format(
    'select true from %I.plinth_fence where bucket = %I.plinth_bucket($1) and state = ''open'' for share',
    tg_table_schema, tg_table_schema
  ) into is_open using old.shard_key;
  if is_open then return old; end if;
  return null;
end $$;
`;

export const shardMigrations: readonly Migration[] = [
  { name: "0001-fence", sql: fence },
  { name: "0002-keys", sql: keys },
  { name: "0003-claims", sql: claims },
  { name: "0004-sweeps", sql: sweeps },
];

export async function migrateShardSchema(database: Database): Promise<void> {
  await migrate(database, shardMigrations, { set: "shards", ahead: "allow" });
}
