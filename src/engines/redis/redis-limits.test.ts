import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock, createSeededRandom, newId, systemClock } from "../../base/index.ts";
import type { Demand, Rule } from "../../limits/index.ts";
import { createMemoryLimits } from "../../limits/index.ts";
import { limitSuite } from "../../limits/testing.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection } from "./connection.ts";
import redis from "./index.ts";
import { toArguments, toTaken } from "./redis-limits.ts";
import { takeAtScript } from "./redis-limits-script.ts";
import { noServer, startCluster, startRedis } from "./redis-server.fixture.ts";

const given = process.env.PLINTH_TEST_REDIS_URL;
const skip = given === undefined && "PLINTH_TEST_REDIS_URL is not set";
const url = new URL(given ?? "redis://nowhere");
const wait = (ms: number) => systemClock.sleep(ms);

describe("the limiter on Redis", { skip }, () => {
  const suite = limitSuite({ makeDriver: () => redis.ports.limiter(url), wait });
  for (const { name, run } of suite) test(name, run);

  test("the script does the same sums as the memory limiter, at any time and for any cost", async () => {
    const connection = new RedisConnection(parseAddress(url));
    await connection.open();
    const random = createSeededRandom(7);
    const whole = (below: number): number => Math.floor(random.next() * below);
    const rules: readonly Rule[] = [
      { kind: "bucket", quota: 7, burst: 3, windowMs: 10_000 },
      { kind: "bucket", quota: 1000, burst: 40, windowMs: 60_000 },
      { kind: "window", quota: 10, windowMs: 20_000 },
      { kind: "window", quota: 333, windowMs: 61_234 },
      { kind: "calendar", quota: 25, period: "day" },
      { kind: "calendar", quota: 400, period: "month" },
    ];
    // From the last days of a leap year's February on.
    let nowMs = Date.UTC(2028, 1, 27, 22);
    const memory = createMemoryLimits({ clock: { ...createManualClock(), now: () => nowMs, wallNow: () => nowMs } });
    const prefix = `plinth:{limits/suite-${newId()}}:`;
    for (let i = 0; i < 1500; i++) {
      const demands: Demand[] = rules
        .map((rule, n) => ({ key: `${n}`, rule, cost: whole(10) < 8 ? whole(4) : whole(30) }))
        .filter(() => whole(3) > 0);
      if (demands.length === 0) continue;
      const reply = await connection.evaluate(
        takeAtScript,
        demands.map(({ key }) => prefix + key),
        [...demands.flatMap(toArguments), nowMs.toFixed(3)],
      );
      const expected = await memory.take("", demands);
      const roundedUp = {
        ...expected,
        states: expected.states.map((state) => ({
          ...state,
          resetMs: Math.ceil(state.resetMs),
          retryMs: Math.ceil(state.retryMs),
        })),
      };
      assert.deepEqual(toTaken(reply as number[], demands.length), roundedUp, `step ${i} at ${nowMs}`);
      nowMs =
        Math.round((nowMs + (whole(50) === 0 ? whole(40 * 3_600_000) : whole(4000) + random.next())) * 1000) / 1000;
    }
    await connection.close();
  });
});

describe("the limiter on a Redis of its own", { skip: noServer }, () => {
  test("every key that it leaves ends by itself, and not before it may", async () => {
    const server = await startRedis();
    const driver = redis.ports.limiter(server.url);
    await driver.open();
    try {
      await driver.take("s", [
        { key: "window", rule: { kind: "window", quota: 5, windowMs: 60_000 }, cost: 1 },
        { key: "bucket", rule: { kind: "bucket", quota: 60, burst: 5, windowMs: 60_000 }, cost: 3 },
        { key: "day", rule: { kind: "calendar", quota: 5, period: "day" }, cost: 1 },
        { key: "places", rule: { kind: "places", quota: 5, holdMs: 30_000 }, cost: 1, holder: "x" },
      ]);
      const ttl = async (key: string) => Number((await server.command("PTTL", `plinth:{limits/s}:${key}`)).slice(1));
      assert.ok((await ttl("w:window")) > 60_000 && (await ttl("w:window")) <= 66_001);
      assert.ok((await ttl("b:bucket")) > 2000 && (await ttl("b:bucket")) <= 3001);
      assert.ok((await ttl("c:day")) > 0 && (await ttl("c:day")) <= 86_400_000);
      assert.ok((await ttl("p:places")) > 29_000 && (await ttl("p:places")) <= 30_000);
    } finally {
      await driver.close();
      await server.kill();
    }
  });

  test("a server that forgets its scripts is told them again", async () => {
    const server = await startRedis();
    const driver = redis.ports.limiter(server.url);
    await driver.open();
    try {
      const demands: Demand[] = [{ key: "a", rule: { kind: "window", quota: 2, windowMs: 60_000 }, cost: 1 }];
      await driver.take("s", demands);
      await server.command("SCRIPT", "FLUSH");
      assert.equal((await driver.take("s", demands)).states[0]?.remaining, 0);
    } finally {
      await driver.close();
      await server.kill();
    }
  });

  test("a user who may not do what limits need is refused at the start, with the rules that it needs", async () => {
    const server = await startRedis();
    await server.command(
      "ACL",
      "SETUSER",
      "poor",
      "on",
      ">secret",
      "~plinth:*",
      "+get",
      "+hello",
      "+client",
      "+select",
    );
    const address = new URL(server.url);
    address.username = "poor";
    address.password = "secret";
    const driver = redis.ports.limiter(address);
    try {
      await assert.rejects(driver.open(), /REDIS_COMMANDS_REFUSED|what limits need.*NOPERM.*\+@scripting \+time/);
      await server.command("ACL", "SETUSER", "poor", "+@sortedset", "+@string", "+@keyspace", "+@scripting", "+time");
      const able = redis.ports.limiter(address);
      await able.open();
      const { allowed } = await able.take("s", [
        { key: "a", rule: { kind: "calendar", quota: 1, period: "month" }, cost: 1 },
      ]);
      assert.equal(allowed, true);
      await able.close();
    } finally {
      await server.kill();
    }
  });

  test("in a cluster a slot's keys are in one place, and slots in several", async () => {
    const cluster = await startCluster();
    const driver = redis.ports.limiter(cluster.url);
    await driver.open();
    try {
      for (let i = 0; i < 30; i++) {
        const { allowed } = await driver.take(`partition-${i}`, [
          { key: `a${i}`, rule: { kind: "window", quota: 1, windowMs: 60_000 }, cost: 1 },
          { key: `b{${i}}`, rule: { kind: "bucket", quota: 1, burst: 1, windowMs: 60_000 }, cost: 1 },
        ]);
        assert.equal(allowed, true);
      }
      const sizes = await Promise.all(cluster.nodes.map((node) => node.command("DBSIZE")));
      assert.ok(
        sizes.every((size) => Number(size.slice(1)) > 0),
        sizes.join(),
      );
    } finally {
      await driver.close();
      await cluster.close();
    }
  });
});
