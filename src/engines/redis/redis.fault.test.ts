import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../base/index.ts";
import type { CacheDriver, NearTier } from "../../cache/index.ts";
import { createCache, createNearTier } from "../../cache/index.ts";
import redis from "./index.ts";
import type { RedisServer } from "./redis-server.fixture.ts";
import { noServer, startRedis, until } from "./redis-server.fixture.ts";

const skip = noServer;
const keyCount = 20;
const loadsPerSecondMax = 100;

interface Fault {
  readonly name: string;
  begin(server: RedisServer): Promise<unknown>;
  end?(server: RedisServer): Promise<unknown>;
}

const faults: readonly Fault[] = [
  { name: "pauses for a second", begin: (server) => server.command("CLIENT", "PAUSE", "1000", "ALL") },
  { name: "sleeps for a second", begin: (server) => server.command("DEBUG", "SLEEP", "1") },
  { name: "shuts down and comes back", begin: (server) => server.command("SHUTDOWN", "NOSAVE"), end: (s) => s.start() },
  { name: "is killed and comes back", begin: (server) => server.kill(), end: (server) => server.start() },
  { name: "forgets everything", begin: (server) => server.command("FLUSHALL") },
  {
    name: "has no room left",
    begin: (server) => server.command("CONFIG", "SET", "maxmemory", "1"),
    end: (server) => server.command("CONFIG", "SET", "maxmemory", "0"),
  },
  {
    name: "becomes a replica",
    begin: (server) => server.command("REPLICAOF", "127.0.0.1", "1"),
    end: (server) => server.command("REPLICAOF", "NO", "ONE"),
  },
  {
    name: "loses all connections",
    begin: (server) => server.command("CLIENT", "KILL", "TYPE", "normal"),
  },
];

describe("faults", { concurrency: 4 }, () => {
  for (const fault of faults) {
    for (const isNear of [true, false]) {
      const tiers = isNear ? "two tiers" : "one tier";
      test(`redis, ${tiers}: no error, bounded delay and capped loads while the server ${fault.name}`, { skip }, () =>
        prove(fault, isNear),
      );
    }
  }
});

async function prove(fault: Fault, isNear: boolean): Promise<void> {
  const server = await startRedis();
  const driver = redis.ports.cache(server.url);
  const near = isNear ? createNearTier({ driver, ttl: "1s" }) : undefined;
  try {
    await driver.open();
    const bench = createBench(driver, near);
    const users = bench.use(4);
    await systemClock.sleep(300);
    await fault.begin(server);
    await systemClock.sleep(1200);
    await fault.end?.(server);
    await systemClock.sleep(300);
    bench.isOver = true;
    await users;
    assert.ok(bench.readCount > 10, `${bench.readCount} reads`);
    assert.ok(bench.worstMs < 3000, `a read took ${bench.worstMs} ms`);
    const { loadsAt } = bench;
    const busiest = Math.max(...loadsAt.map((from) => loadsAt.filter((at) => at >= from && at < from + 1000).length));
    assert.ok(busiest <= loadsPerSecondMax * 1.1 + 1, `${busiest} loads in a second`);
    // It heals: what is set now is read from the engine.
    const healed = createCache({ driver, namespace: "healed" });
    await until(async () => {
      await healed.set("a", "back");
      return (await healed.get("a")) === "back";
    });
  } finally {
    near?.close();
    await driver.close();
    await server.kill();
  }
}

/** Readers and writers of a few keys. No read fails, or is older than what was invalidated when it began. */
function createBench(driver: CacheDriver, near: NearTier | undefined) {
  const cache = createCache({ driver, namespace: "fault", near, fillsPerSecondMax: loadsPerSecondMax });
  const truth = new Map<string, number>();
  /** Invalidated, and so to be seen by who reads from now on. */
  const invalidated = new Map<string, number>();
  const bench = {
    loadsAt: [] as number[],
    worstMs: 0,
    readCount: 0,
    isOver: false,
    async use(userCount: number): Promise<void> {
      await Promise.all(Array.from({ length: userCount }, (_, user) => useFrom(user * 5)));
    },
  };
  const useFrom = async (first: number) => {
    for (let i = first; !bench.isOver; i++) {
      const key = `key-${i % keyCount}`;
      const since = systemClock.now();
      const known = invalidated.get(key) ?? 0;
      const load = () => bench.loadsAt.push(systemClock.now()) && (truth.get(key) ?? 0);
      const found = await cache.getOrLoad(key, load, { tags: [key], staleIfError: "1m" });
      assert.ok(found >= known, `${key}: ${found}, though ${known} was there before it was read`);
      bench.worstMs = Math.max(bench.worstMs, systemClock.now() - since);
      bench.readCount++;
      if (i % 50 === 0) {
        const next = (truth.get(key) ?? 0) + 1;
        truth.set(key, next);
        await cache.invalidate(key);
        invalidated.set(key, Math.max(next, invalidated.get(key) ?? 0));
      }
      await systemClock.sleep(10);
    }
  };
  return bench;
}
