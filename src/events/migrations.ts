import type { Database, Migration } from "../database/index.ts";
import { migrate } from "../database/index.ts";

/**
 * The tables of events, in two sets: `eventMigrations` for the schema of each service, and one for the broker's own. Names are not qualified: they belong to the schema that the migrations are run in. They are recorded
 * apart from the service's own migrations.
 *
 * Payloads are `json`, not `jsonb`: the text stays as it was written, so that its hash stays too, and `\u0000` in a
 * string is no error.
 */
const outbox = `
create table plinth_outbox (
  -- Drawn inside the publisher's transaction. Order within a key, nothing else: ids become visible out of order.
  seq bigint generated always as identity primary key,
  id uuid not null,
  type text not null,
  key text not null,
  payload json not null,
  at text not null,
  traceparent text,
  tracestate text,
  created_at timestamptz not null default clock_timestamp(),
  published_at timestamptz
);
create index plinth_outbox_unpublished on plinth_outbox (seq) where published_at is null;
create index plinth_outbox_unpublished_key on plinth_outbox (key, seq) where published_at is null;
create index plinth_outbox_published on plinth_outbox (published_at) where published_at is not null;
`;

const inbox = `
create table plinth_inbox (
  subscription text not null,
  message_id uuid not null,
  payload_hash text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (subscription, message_id)
);
create index plinth_inbox_at on plinth_inbox (at);
`;

const deadLetters = `
create table plinth_dead_letters (
  id uuid primary key,
  subscription text not null,
  message_id uuid not null,
  payload_hash text not null,
  type text not null,
  source text not null,
  key text not null,
  -- Text: it may be here just because it is no JSON.
  payload text not null,
  at text not null,
  traceparent text,
  tracestate text,
  -- Why: the last error, and a fingerprint by which equal failures are found.
  error_code text not null,
  error_reason text not null,
  error_message text not null,
  error_fingerprint text not null,
  attempts integer not null,
  first_failed_at timestamptz not null default clock_timestamp(),
  last_failed_at timestamptz not null default clock_timestamp(),
  -- Set by whoever asks for a replay; a consumer of the subscription takes it up.
  replay_at timestamptz,
  replay_attempts integer not null default 0,
  claimed_until timestamptz,
  epoch bigint not null default 0,
  unique (subscription, message_id, payload_hash)
);
create index plinth_dead_letters_replay on plinth_dead_letters (subscription, replay_at) where replay_at is not null;
`;

/** The name under which `eventMigrations` are recorded. */
export const eventMigrationSet = "events";

export const eventMigrations: readonly Migration[] = [
  { name: "0001-outbox", sql: outbox },
  { name: "0002-inbox", sql: inbox },
  { name: "0003-dead-letters", sql: deadLetters },
];

const broker = `
-- One row: by its id a process knows that two connections lead to the same broker.
create table identity (id text primary key);
insert into identity (id) values (gen_random_uuid()::text);

create table subscriptions (
  subscription text not null,
  type text not null,
  ensured_at timestamptz not null default clock_timestamp(),
  primary key (subscription, type)
);
create index subscriptions_type on subscriptions (type);

create table messages (
  seq bigint generated always as identity primary key,
  id uuid not null,
  payload_hash text not null,
  type text not null,
  source text not null,
  key text not null,
  payload json not null,
  at text not null,
  traceparent text,
  tracestate text,
  published_at timestamptz not null default clock_timestamp(),
  unique (id, payload_hash)
);
create index messages_published on messages (published_at);

-- One row for each subscription that still has to see a message. Acknowledging deletes it.
create table deliveries (
  subscription text not null,
  seq bigint not null,
  source text not null,
  key text not null,
  attempts integer not null default 0,
  ready_at timestamptz not null default clock_timestamp(),
  -- The lease. Every write of whoever holds it names the epoch, so that a late one changes nothing.
  claimed_until timestamptz,
  owner text,
  epoch bigint not null default 0,
  primary key (subscription, seq)
);
create index deliveries_key on deliveries (subscription, source, key, seq);
`;

/** The broker's schema also holds the dead letters of services that have no database. */
const brokerMigrations: readonly Migration[] = [
  { name: "0001-broker", sql: broker },
  { name: "0002-dead-letters", sql: deadLetters },
];

/** Brings the schema of a service up to date. An older version may start beside a newer one. */
export async function migrateEvents(database: Database): Promise<void> {
  await migrate(database, eventMigrations, { set: eventMigrationSet, ahead: "allow" });
}

export async function migrateBroker(database: Database): Promise<void> {
  await migrate(database, brokerMigrations, { set: "broker", ahead: "allow" });
}
