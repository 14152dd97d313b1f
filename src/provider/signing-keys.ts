import { createHash, generateKeyPairSync } from "node:crypto";
import { StartError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { KeyRules, KeyTimes } from "./key-schedule.ts";
import { nextKeyTimes, signingKeyAt } from "./key-schedule.ts";
import type { ProviderSecret } from "./secret.ts";

/** A P-256 key for ES256, private part and all. */
export interface SigningKey extends KeyTimes {
  readonly kid: string;
  readonly jwk: Readonly<Record<string, string>>;
}

export interface SigningKeys {
  /** All that are published, the one that signs first. */
  readonly keys: readonly SigningKey[];
  /** Milliseconds until something changes, by the database's clock. */
  readonly changesInMs: number;
}

export interface SigningKeyStore {
  /** What holds now. Makes the key that is due, whichever process comes first, and deletes those that have ended. */
  load(): Promise<SigningKeys>;
  /** From the next `load` on another key signs. The old ones stay published. */
  rotate(): Promise<void>;
}

interface Row {
  readonly kid: string;
  readonly sealed: string;
  readonly signs_from: number;
  readonly signs_until: number;
  readonly published_until: number;
}

/** Processes that come at once wait for each other here. */
const lockName = "plinth provider signing keys";

export function createSigningKeyStore(database: Database, secret: ProviderSecret, rules: KeyRules): SigningKeyStore {
  const read = (on: Pick<Database, "sql">) => on.sql<Row>`
    select kid, sealed, ${ms("signs_from")} as signs_from, ${ms("signs_until")} as signs_until,
      ${ms("published_until")} as published_until
    from signing_keys where published_until > clock_timestamp() order by signs_from desc`;
  return {
    async load() {
      let [now, rows] = [await nowOf(database), await read(database)];
      if (nextKeyTimes(rows.map(toTimes), now, rules)) {
        [now, rows] = await database.transaction(async (tx) => {
          await lock(tx);
          const times = nextKeyTimes((await read(tx)).map(toTimes), await nowOf(tx), rules);
          if (times) await insert(tx, newKey(times), secret);
          await tx.sql`delete from signing_keys where published_until <= clock_timestamp()`;
          return [await nowOf(tx), await read(tx)] as const;
        });
      }
      const keys = rows.map((row) => open(row, secret));
      const signing = signingKeyAt(keys, now);
      if (!signing) throw new Error("assertion failed: no key signs now");
      return { keys: [signing, ...keys.filter((key) => key !== signing)], changesInMs: nextChange(keys, now, rules) };
    },
    async rotate() {
      await database.transaction(async (tx) => {
        await lock(tx);
        const now = await nowOf(tx);
        // It signs at once: those who verify look for a key that they do not know.
        await tx.sql`
          update signing_keys set signs_until = clock_timestamp(),
            published_until = clock_timestamp() + ${rules.keptMs}::float8 * interval '1 ms'
          where signs_until > clock_timestamp()`;
        const signsUntil = now + rules.signsMs;
        await insert(tx, newKey({ signsFrom: now, signsUntil, publishedUntil: signsUntil + rules.keptMs }), secret);
      });
    },
  };
}

function ms(column: "signs_from" | "signs_until" | "published_until") {
  return sql`(extract(epoch from ${sql.id(column)}) * 1000)::float8`;
}

async function nowOf(on: Pick<Database, "sql">): Promise<number> {
  const [row] = await on.sql<{ now: number }>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
  return (row as { now: number }).now;
}

async function lock(tx: Transaction): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtextextended(${lockName}, 0)) as locked`;
}

async function insert(tx: Transaction, key: SigningKey, secret: ProviderSecret): Promise<void> {
  const at = (value: number) => sql`to_timestamp(${value}::float8 / 1000)`;
  await tx.sql`
    insert into signing_keys (kid, sealed, signs_from, signs_until, published_until)
    values (${key.kid}, ${secret.seal(JSON.stringify(key.jwk), key.kid)}, ${at(key.signsFrom)}, ${at(key.signsUntil)},
      ${at(key.publishedUntil)})`;
}

function toTimes(row: Row): KeyTimes {
  return { signsFrom: row.signs_from, signsUntil: row.signs_until, publishedUntil: row.published_until };
}

function open(row: Row, secret: ProviderSecret): SigningKey {
  const text = secret.open(row.sealed, row.kid);
  if (text === undefined) {
    throw new StartError(
      "PROVIDER_SECRET_CHANGED",
      'PLINTH_PROVIDER_SECRET: the signing keys in the database were sealed with another secret; set it to "NEW OLD", both separated by a space, until the old keys have ended.',
    );
  }
  return { ...toTimes(row), kid: row.kid, jwk: JSON.parse(text) };
}

function newKey(times: KeyTimes): SigningKey {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { crv, kty, x, y, d } = privateKey.export({ format: "jwk" }) as Record<"crv" | "kty" | "x" | "y" | "d", string>;
  // RFC 7638: the members in this order, and no others.
  const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
  return { ...times, kid, jwk: { kty, crv, x, y, d, kid, alg: "ES256", use: "sig" } };
}

function nextChange(keys: readonly KeyTimes[], now: number, { aheadMs }: KeyRules): number {
  const last = Math.max(...keys.map(({ signsUntil }) => signsUntil));
  const moments = keys.flatMap(({ signsFrom, publishedUntil }) => [signsFrom, publishedUntil]);
  return Math.min(...[...moments, last - aheadMs].filter((moment) => moment > now)) - now;
}

/** Without the private part. */
export function toPublicJwk({ jwk }: SigningKey): Readonly<Record<string, string>> {
  const { d: _private, ...rest } = jwk;
  return rest;
}
