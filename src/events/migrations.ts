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

const leases = `
create table plinth_leases (
  name text primary key,
  owner text not null,
  epoch bigint not null,
  expires_at timestamptz not null,
  -- Makes the epoch a key column: whoever holds the row FOR KEY SHARE keeps it from changing, and a renewal, which
  -- leaves the epoch as it is, waits for nobody.
  unique (name, epoch)
);
`;

const schedules = `
create table plinth_schedules (
  name text primary key,
  definition text not null,
  -- The last tick that was decided on, to run or not: the next one is later.
  last_tick timestamptz not null,
  skipped_count bigint not null default 0,
  seen_at timestamptz not null default clock_timestamp()
);

create table plinth_ticks (
  schedule text not null,
  scheduled_at timestamptz not null,
  state text not null default 'open' check (state in ('open', 'done', 'failed')),
  -- Counted before each begins, in a transaction of its own. Every write of whoever runs one names both.
  attempts integer not null default 0,
  epoch bigint not null default 0,
  ready_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  error_reason text,
  error_message text,
  primary key (schedule, scheduled_at)
);
create index plinth_ticks_open on plinth_ticks (schedule, scheduled_at) where state = 'open';
create index plinth_ticks_finished on plinth_ticks (finished_at) where state <> 'open';
`;

const idempotency = `
create table plinth_idempotency (
  -- Operation and principal: a key means something to one caller of one method.
  scope text not null,
  key text not null,
  request_hash text not null,
  -- 'begun' is what its transaction leaves behind when it commits an effect and no answer.
  state text not null check (state in ('begun', 'done', 'failed')),
  answer text,
  shard_key text,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (scope, key)
);
create index plinth_idempotency_expires on plinth_idempotency (expires_at);
create index plinth_idempotency_shard on plinth_idempotency (shard_key) where shard_key is not null;
`;

const sequence = `
-- The last number drawn for each key. Its row is locked from the drawing to the commit, so commits follow the numbers.
create table plinth_event_keys (
  key text primary key,
  seq bigint not null,
  -- A day, so that the index is touched once a day for a key, not at each event.
  used_on date not null default (clock_timestamp() at time zone 'utc')::date
) with (fillfactor = 70);
create index plinth_event_keys_used on plinth_event_keys (used_on);

-- Null in rows of a version before this one.
alter table plinth_outbox add column sequence bigint;
`;

const relays = `
-- Who is there, and so how many share the buckets.
create table plinth_relays (
  owner text primary key,
  expires_at timestamptz not null
);

create table plinth_relay_buckets (
  bucket integer primary key,
  owner text,
  epoch bigint not null default 0,
  expires_at timestamptz
);
insert into plinth_relay_buckets (bucket) select generate_series(0, 63);
`;

/** For both sets: wherever dead letters are, what is done to them is written down. */
const audit = `
alter table plinth_dead_letters
  add column sequence bigint,
  -- What was announced, where somebody changed the payload. payload_hash stays that of this one.
  add column original_payload text,
  -- The replay of a subscription for which it was to run, although it had been handled.
  add column again uuid;

create table plinth_event_audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  subscription text not null,
  dead_letter uuid,
  message_id uuid,
  before_fingerprint text,
  after_fingerprint text,
  reason text,
  detail text
);
create index plinth_event_audit_at on plinth_event_audit (at);
create index plinth_event_audit_dead_letter on plinth_event_audit (dead_letter) where dead_letter is not null;
`;

const idempotencyClaims = `
-- Whoever works on a request, and until when nobody else does. Null where it is answered.
alter table plinth_idempotency add column token text, add column lease_until timestamptz;
`;

const outboxIndexes = `
-- Nobody looks by key any more: a relay has buckets of keys. Each event paid for it.
drop index plinth_outbox_unpublished_key;
`;

/** The name under which `eventMigrations` are recorded. */
export const eventMigrationSet = "events";

export const eventMigrations: readonly Migration[] = [
  { name: "0001-outbox", sql: outbox },
  { name: "0002-inbox", sql: inbox },
  { name: "0003-dead-letters", sql: deadLetters },
  { name: "0004-leases", sql: leases },
  { name: "0005-schedules", sql: schedules },
  { name: "0006-idempotency", sql: idempotency },
  { name: "0007-sequence", sql: sequence },
  { name: "0008-relays", sql: relays },
  { name: "0009-audit", sql: audit },
  { name: "0010-idempotency-claims", sql: idempotencyClaims },
  { name: "0011-outbox-indexes", sql: outboxIndexes },
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

const replays = `
alter table messages add column sequence bigint;

alter table deliveries
  -- The message, where it is delivered again under a number of its own; otherwise seq names it.
  add column message bigint,
  -- The replay that asked for it, and whether it runs although it was handled.
  add column replay uuid,
  add column again boolean not null default false,
  add column first_failed_at timestamptz;
create index deliveries_message on deliveries (subscription, message) where message is not null;
-- Rows are changed once or twice and then gone: room to do that in place.
alter table deliveries set (fillfactor = 70);

create table replays (
  id uuid primary key,
  subscription text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  types text[],
  again boolean not null,
  -- The numbers of the messages: those up to cursor are done.
  cursor_seq bigint not null,
  last_seq bigint not null,
  delivered_count bigint not null default 0,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
create index replays_open on replays (subscription) where finished_at is null;
`;

const nonces = `
-- What a process writes through one connection and looks for through another: the id above is copied with the database.
create table nonces (
  id uuid primary key,
  at timestamptz not null default clock_timestamp()
);
`;

/** The broker's schema also holds the dead letters of services that have no database. */
const brokerMigrations: readonly Migration[] = [
  { name: "0001-broker", sql: broker },
  { name: "0002-dead-letters", sql: deadLetters },
  { name: "0003-replays", sql: replays },
  { name: "0004-audit", sql: audit },
  { name: "0005-nonces", sql: nonces },
];

/** Brings the schema of a service up to date. An older version may start beside a newer one. */
export async function migrateEvents(database: Database): Promise<void> {
  await migrate(database, eventMigrations, { set: eventMigrationSet, ahead: "allow" });
}

export async function migrateBroker(database: Database): Promise<void> {
  await migrate(database, brokerMigrations, { set: "broker", ahead: "allow" });
}
