import { bucketOf, readBuckets } from "../../src/shards/index.ts";
import type { Bank } from "./bank.ts";

/** What lies where at the end, read past the router. */
export interface Evidence {
  readonly readAt: number;
  /** By shard: entries, accounts, notes, claims and counters of events, by names that say which they are. */
  readonly rows: Readonly<Record<string, readonly string[]>>;
  /** Versions of the entries of each key, smallest first. */
  readonly versions: readonly { readonly key: string; readonly sequence: number }[];
  readonly latest: Readonly<Record<string, number>>;
  /** What the service that listens did, in the order of its commits. */
  readonly effects: readonly { readonly key: string; readonly sequence: number; readonly version: number }[];
  /** The last number that was drawn for the events of each key. */
  readonly drawn: Readonly<Record<string, number>>;
  /** Where the key of a row belongs. */
  homeOf(row: string): string;
  /** Buckets that are open on other than one shard, or not on the one that the directory says. */
  readonly wrongBuckets: number;
  readonly bucketsByShard: Readonly<Record<string, number>>;
}

/** A name for a row: its kind, its key, and what tells it from others of the key. */
export function nameOf(kind: "account" | "entry" | "note" | "claim" | "counter", key: string, rest = ""): string {
  return `${kind} ${key} ${rest}`;
}

export async function readEvidence(bank: Bank): Promise<Evidence> {
  const readAt = Date.now();
  const map = await readBuckets(bank.directory, bank.name);
  const rows: Record<string, string[]> = {};
  const versions: { key: string; sequence: number }[] = [];
  const latest: Record<string, number> = {};
  const drawn: Record<string, number> = {};
  const open: string[] = [];
  for (const [shard, database] of bank.databases) {
    const accounts = await database.sql<{ id: string; version: number }>`select id, version from accounts`;
    const entries = await database.sql<{ account: string; id: string; version: number }>`
      select account, id, version from entries order by account, version`;
    const notes = await database.sql<{ account: string; n: number }>`select account, n from notes`;
    const claims = await database.sql<{ key: string; value: string }>`
      select shard_key as key, value from plinth_claims where state = 'confirmed'`;
    const counters = await database.sql<{
      key: string;
      seq: number;
    }>`select key, seq::int as seq from plinth_event_keys`;
    rows[shard] = [
      ...accounts.map(({ id }) => nameOf("account", id)),
      ...entries.map(({ account, id }) => nameOf("entry", account, id)),
      ...notes.map(({ account, n }) => nameOf("note", account, String(n))),
      ...claims.map(({ key, value }) => nameOf("claim", key, value)),
      ...counters.map(({ key }) => nameOf("counter", key)),
    ];
    for (const { account, version } of entries) versions.push({ key: account, sequence: version });
    for (const { id, version } of accounts) latest[id] = Math.max(latest[id] ?? 0, version);
    for (const { key, seq } of counters) drawn[key] = Math.max(drawn[key] ?? 0, seq);
    const held = await database.sql<{ bucket: number }>`select bucket from plinth_fence where state <> 'away'`;
    for (const { bucket } of held) open.push(`${bucket} ${shard}`);
  }
  const wanted = new Set(map.map(({ bucket, shard }) => `${bucket} ${shard}`));
  const extra = open.filter((each) => !wanted.has(each)).length;
  const bucketsByShard = Object.fromEntries(
    Object.keys(rows).map((shard) => [shard, map.filter((each) => each.shard === shard).length]),
  );
  const effects = await bank.reader.sql<{ key: string; sequence: number; version: number }>`
    select key, sequence, version from effects order by id`;
  return {
    readAt,
    rows,
    versions: versions.sort((a, b) => a.sequence - b.sequence),
    latest,
    effects,
    drawn,
    bucketsByShard,
    homeOf: (row) => map[bucketOf(row.split(" ")[1] ?? "")]?.shard ?? "",
    wrongBuckets: extra + [...wanted].filter((each) => !open.includes(each)).length,
  };
}

/** Waits until every event has reached the service that listens; false when that takes more than 30 s. */
export async function eventsAreThrough(bank: Bank): Promise<boolean> {
  const broker = bank.broker();
  for (const endsAt = performance.now() + 30_000; performance.now() < endsAt; ) {
    let left = 0;
    for (const database of bank.databases.values()) {
      const [row] = await database.sql<{ count: number }>`
        select count(*)::int as count from plinth_outbox where published_at is null`;
      left += row?.count ?? 0;
    }
    for (const { pendingCount } of await broker.stats()) left += pendingCount;
    if (left === 0) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
