/**
 * One process that reads through a cache and writes to a database: `keeper.ts '{"databaseUrl": …}'`. On "go" it begins, on
 * "rest" it stops writing, a second later reading, and says "rested"; on "sample" it says what its cache holds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createCache, createNearTier } from "../../src/cache/index.ts";
import { createDatabase } from "../../src/database/index.ts";
import postgres from "../../src/engines/postgres/index.ts";
import redis from "../../src/engines/redis/index.ts";

export interface KeeperOptions {
  readonly databaseUrl: string;
  readonly cacheUrl: string;
  readonly namespace: string;
  readonly keys: readonly string[];
  /** The mutant: what was loaded is stored whatever happened meanwhile. */
  readonly fillWithoutLease: boolean;
}

export interface Rested {
  readonly writes: number;
  readonly reads: number;
  readonly loads: number;
  /** Loads that the cache refused to store. */
  readonly refused: number;
  readonly errors: readonly string[];
}

export type KeeperMessage =
  | "ready"
  | { readonly rested: Rested }
  | { readonly sampled: Readonly<Record<string, string>> };

const readers = 6;
const writers = 2;

const options: KeeperOptions = JSON.parse(process.argv[2] ?? "{}");
const { namespace, keys, fillWithoutLease } = options;
const database = postgres.ports.database?.(new URL(options.databaseUrl));
if (!database) throw new Error("Postgres has no database");
await database.open();
const db = createDatabase({ driver: database, schema: "public" });
const engine = redis.ports.cache(new URL(options.cacheUrl));
const near = createNearTier({ driver: engine });
await engine.open();
const cache = createCache({ driver: engine, namespace, near, fillWithoutLease });
const counts = { writes: 0, reads: 0 };
const errors: string[] = [];
let isWriting = true;
let isReading = true;

const pick = (): string => keys[Math.floor(Math.random() * keys.length)] as string;

async function repeat(goesOn: () => boolean, work: () => Promise<unknown>): Promise<void> {
  while (goesOn()) {
    await work().catch((thrown: unknown) => errors.push(String(thrown)));
    await sleep(Math.random() * 10);
  }
}

async function write(): Promise<void> {
  const key = pick();
  await db.transaction(async (tx) => {
    await tx.sql`update truth set version = version + 1 where key = ${key}`;
    await cache.invalidate(key, { in: tx });
  });
  counts.writes++;
}

async function read(): Promise<void> {
  const key = pick();
  await cache.getOrLoad(key, () => load(key), { ttl: "5m", tags: [key] });
  counts.reads++;
}

/** What it saw is old by the time that it is given to the cache. */
async function load(key: string): Promise<string> {
  const [row] = await db.sql<{ version: number }>`select version from truth where key = ${key}`;
  await sleep(Math.random() * 30);
  return String(row?.version);
}

function say(message: KeeperMessage): void {
  process.send?.(message);
}

async function run(): Promise<void> {
  const writing = Array.from({ length: writers }, () => repeat(() => isWriting, write));
  const reading = Array.from({ length: readers }, () => repeat(() => isReading, read));
  await Promise.all(writing);
  await sleep(1_000);
  isReading = false;
  await Promise.all(reading);
  const { loadCount, staleLoadCount } = cache.stats;
  say({ rested: { ...counts, loads: loadCount, refused: staleLoadCount, errors: errors.slice(0, 10) } });
}

async function sample(): Promise<void> {
  const found = await cache.getMany<string>(keys);
  const held = keys.flatMap((key, i) => (found[i] === undefined ? [] : [[key, found[i]] as const]));
  say({ sampled: Object.fromEntries(held) });
}

process.on("message", (word) => {
  if (word === "go") void run();
  if (word === "rest") isWriting = false;
  if (word === "sample") void sample();
});
process.on("disconnect", () => process.exit());
say("ready");
