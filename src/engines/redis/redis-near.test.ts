import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../base/index.ts";
import type { NearTier } from "../../cache/index.ts";
import { createCache, createNearTier } from "../../cache/index.ts";
import redis from "./index.ts";
import { noServer, startRedis, until } from "./redis-server.fixture.ts";

const skip = noServer;
const wait = (ms: number) => systemClock.sleep(ms);

async function startProcess(at: URL, namespace: string) {
  const driver = redis.ports.cache(at);
  const near = createNearTier({ driver });
  await driver.open();
  const cache = createCache({ driver, namespace, near });
  await until(() => near.isWatching);
  const close = async () => {
    near.close();
    await driver.close();
  };
  return { cache, near, close };
}

test("redis tells another process of an invalidation within 100 ms, typically", { skip }, async () => {
  const server = await startRedis();
  const [one, other] = [await startProcess(server.url, "lag"), await startProcess(server.url, "lag")];
  const lagsMs: number[] = [];
  for (let round = 0; round < 20; round++) {
    await one.cache.set("a", round, { tags: ["tag"] });
    await wait(20);
    assert.equal(await other.cache.getOrLoad("a", () => -1, { tags: ["tag"] }), round);
    await one.cache.invalidate("tag");
    const since = systemClock.now();
    while ((await other.cache.get("a")) !== undefined) await wait(1);
    lagsMs.push(systemClock.now() - since);
  }
  lagsMs.sort((a, b) => a - b);
  assert.ok((lagsMs[10] as number) < 100, `median of ${lagsMs[10]} ms`);
  assert.ok((lagsMs[19] as number) < 5000, `worst of ${lagsMs[19]} ms`);
  await Promise.all([one.close(), other.close()]);
  await server.kill();
});

const watching = (near: NearTier) => until(() => near.isWatching);

test("redis: a near tier that may miss messages drops everything at once, and works again later", {
  skip: noServer,
}, async () => {
  const server = await startRedis();
  const { cache, near, close } = await startProcess(server.url, "lost");
  await cache.set("a", 1);
  await cache.get("a");
  assert.equal(near.stats.entryCount, 1);
  assert.match(await server.command("CLIENT", "KILL", "TYPE", "pubsub"), /:1/);
  await until(() => !near.isWatching);
  assert.deepEqual([near.stats.entryCount, near.stats.lostCount], [0, 1]);
  assert.equal(await cache.get("a"), 1);
  assert.equal(near.stats.entryCount, 0);
  await watching(near);
  await cache.get("a");
  assert.equal(near.stats.entryCount, 1);
  await close();
  await server.kill();
});

test("redis: a user who may not publish gets no near tier, but a cache", { skip }, async () => {
  const server = await startRedis();
  await server.command("ACL", "SETUSER", "u", "on", ">p", "~plinth:*", "resetchannels", "+@all");
  const at = new URL(server.url);
  at.username = "u";
  at.password = "p";
  const driver = redis.ports.cache(at);
  const near = createNearTier({ driver });
  await driver.open();
  const cache = createCache({ driver, namespace: "mute", near });
  await cache.set("a", 1, { tags: ["tag"] });
  await wait(300);
  assert.equal(await cache.get("a"), 1);
  assert.deepEqual([near.isWatching, near.stats.entryCount], [false, 0]);
  await cache.invalidate("tag");
  assert.equal(await cache.get("a"), undefined);
  near.close();
  await driver.close();
  await server.kill();
});

test("redis: a near tier notices within 2 s that a server says nothing any more", { skip }, async () => {
  const server = await startRedis();
  const { cache, near, close } = await startProcess(server.url, "silent");
  await cache.set("a", 1);
  await cache.get("a");
  await server.command("CLIENT", "PAUSE", "4000", "ALL");
  const since = systemClock.now();
  await until(() => !near.isWatching);
  assert.ok(systemClock.now() - since < 2500, `${systemClock.now() - since} ms`);
  assert.equal(near.stats.entryCount, 0);
  await watching(near);
  await close();
  await server.kill();
});
