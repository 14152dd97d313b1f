import type { Database, Migration } from "../database/index.ts";
import { migrate } from "../database/index.ts";

/**
 * The directory: one schema, anywhere, for all sharded services of an app. It says where buckets live, remembers moves,
 * and holds the names that must be unique across shards. Losing its cache costs nothing; the tables are needed to start,
 * to move, and to claim.
 */
const directory = `
create table directory (id text not null);
insert into directory (id) values (gen_random_uuid()::text);

create table shards (
  service text not null,
  name text not null,
  added_at timestamptz not null default clock_timestamp(),
  primary key (service, name)
);

create table buckets (
  service text not null,
  bucket integer not null check (bucket between 0 and 1023),
  shard text not null,
  epoch bigint not null,
  -- The move that has it in its hands.
  move bigint,
  primary key (service, bucket)
);

create table moves (
  id bigint generated always as identity primary key,
  service text not null,
  buckets integer[] not null,
  source text not null,
  target text not null,
  state text not null check (state in ('STABLE', 'COPY', 'CATCHUP', 'FENCE', 'SWITCH', 'CLEAN', 'ABORT', 'DONE', 'ABORTED')),
  -- The lease of the mover at work, by this database's time.
  owner text,
  owner_until timestamptz,
  epoch bigint not null default 0,
  -- The columns of the tables when the copy began.
  shape text,
  note text,
  rows_copied bigint not null default 0,
  pause_ms double precision,
  created_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp(),
  -- When the archive of the source was dropped.
  expired_at timestamptz
);
create index moves_open on moves (service, id) where state not in ('DONE', 'ABORTED');

create table claims (
  service text not null,
  name text not null,
  value text not null,
  key text not null,
  token uuid not null,
  state text not null check (state in ('pending', 'confirmed')),
  expires_at timestamptz not null,
  primary key (service, name, value)
);
`;

const rates = `
-- Of whoever asked for the move; who goes on with it keeps to it.
alter table moves add column rows_per_second double precision;
`;

const pendingClaims = `
create index claims_pending on claims (service, expires_at) where state = 'pending';
`;

export const directoryMigrations: readonly Migration[] = [
  { name: "0001-directory", sql: directory },
  { name: "0002-rates", sql: rates },
  { name: "0003-pending-claims", sql: pendingClaims },
];

export async function migrateDirectory(database: Database): Promise<void> {
  await migrate(database, directoryMigrations, { set: "directory", ahead: "allow" });
}
