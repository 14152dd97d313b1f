import type { Database } from "../database/index.ts";
import { constraintOf } from "../database/index.ts";
import { throughAll } from "./attempts.ts";
import { bucketOf } from "./bucket.ts";
import { readBuckets } from "./bucket-map.ts";
import { fenceConstraint } from "./errors.ts";

/** A reservation in the directory, whose truth is with its key. */
export interface Reservation {
  readonly name: string;
  readonly value: string;
  readonly key: string;
  readonly token: string;
}

/** Settles whether the key has the value after all; when not, it never will with that token. */
export function settle(shard: Database, { name, value, key, token }: Reservation): Promise<boolean> {
  return shard.transaction(async (tx) => {
    // A row that is there wins; one that is being written is waited for.
    const made = await tx.sql`
      insert into plinth_claims (token, name, value, state, shard_key)
      values (${token}::text::uuid, ${name}, ${value}, 'void', ${key}) on conflict (token) do nothing returning 1 as one`;
    if (made.length > 0) return false;
    const [found] = await tx.sql<{ state: string }>`
      select state from plinth_claims where token = ${token}::text::uuid`;
    return found?.state === "confirmed";
  });
}

export async function isVoid(shard: Database, token: string): Promise<boolean> {
  const [found] = await shard.sql<{ state: string }>`
    select state from plinth_claims where token = ${token}::text::uuid`;
  return found?.state === "void";
}

export interface ClaimSweepOptions {
  readonly directory: Database;
  readonly shards: ReadonlyMap<string, Database>;
  readonly service: string;
}

const pieceSize = 100;

/**
 * One piece of what claims leave behind: reservations that ran out an hour ago, each settled with its shard, and on each
 * shard the void rows of 7 days ago. What is on the way to another shard is left for the next time. Answers how many.
 */
export async function sweepClaims({ directory, shards, service }: ClaimSweepOptions): Promise<number> {
  const old = await directory.sql<Reservation>`
    select name, value, key, token::text as token from claims
    where service = ${service} and state = 'pending' and expires_at < clock_timestamp() - interval '1 hour'
    order by expires_at limit ${pieceSize}::int`;
  let swept = 0;
  const places = old.length > 0 ? await readBuckets(directory, service) : [];
  const reservations = async (): Promise<void> => {
    for (const row of old) {
      const home = shards.get(places[bucketOf(row.key)]?.shard ?? "");
      if (home && (await sweepReservation(directory, home, service, row))) swept++;
    }
  };
  const voids = async (shard: Database): Promise<void> => {
    const rows = await shard.sql`
      delete from plinth_claims where token in (
        select token from plinth_claims where state = 'void' and at < clock_timestamp() - interval '7 days'
        limit ${pieceSize}::int for update skip locked) returning 1 as one`;
    swept += rows.length;
  };
  const tasks = [reservations, ...[...shards.values()].map((shard) => () => voids(shard))];
  await throughAll(tasks, (task) => task());
  return swept;
}

/** Past the router: the guard on the shard refuses when the bucket is not open there. */
async function sweepReservation(directory: Database, home: Database, service: string, row: Reservation) {
  let isTaken: boolean;
  try {
    isTaken = await settle(home, row);
  } catch (thrown) {
    if (constraintOf(thrown) === fenceConstraint) return false;
    throw thrown;
  }
  const { name, value, token } = row;
  if (isTaken) {
    await directory.sql`
      update claims set state = 'confirmed' where service = ${service} and name = ${name} and value = ${value}
        and token = ${token}::text::uuid`;
  } else {
    await directory.sql`
      delete from claims where service = ${service} and name = ${name} and value = ${value}
        and token = ${token}::text::uuid`;
  }
  return true;
}
