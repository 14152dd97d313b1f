import assert from "node:assert/strict";
import { after, test } from "node:test";
import { StartError, systemClock } from "../../base/index.ts";
import { cacheSuite } from "../../cache/testing.ts";
import redis from "./index.ts";
import { noServer, startCluster, startRedis, startSentinel, until } from "./redis-server.fixture.ts";

const skip = noServer;
const wait = (ms: number) => systemClock.sleep(ms);
const cluster = skip ? undefined : await startCluster();
const sentinel = skip ? undefined : await startSentinel();
after(async () => {
  await cluster?.close();
  await sentinel?.close();
});
const clusterUrl = (spread: number) => new URL(`${cluster?.url}&spread=${spread}`);

for (const spread of [1, 4]) {
  for (const { name, run } of cacheSuite({ makeDriver: () => redis.ports.cache(clusterUrl(spread)), wait })) {
    test(`redis cluster, spread ${spread}, ${name}`, { skip }, run);
  }
}

for (const { name, run } of cacheSuite({
  makeDriver: () => redis.ports.cache(sentinel?.url as URL),
  wait,
  tellsInOrder: true,
})) {
  test(`redis sentinel ${name}`, { skip }, run);
}

test("redis spreads a namespace over the nodes of a cluster", { skip }, async () => {
  const driver = redis.ports.cache(clusterUrl(16));
  await driver.open();
  const keys = Array.from({ length: 100 }, (_, i) => `key-${i}`);
  for (const key of keys) await driver.set("hot", key, key, { ttlMs: 5000, tags: ["all"] });
  const found = await driver.getMany("hot", keys);
  assert.deepEqual(
    found.map((each) => each?.value),
    keys,
  );
  for (const node of cluster?.nodes ?? []) {
    const names = await node.command("KEYS", "plinth:{hot*v:*");
    assert.ok(names.split("v:key").length > 5, names);
  }
  await driver.invalidate("hot", ["all"]);
  assert.ok((await driver.getMany("hot", keys)).every((each) => each === undefined));
  await driver.close();
});

test("redis behind sentinels finds the new primary when the old one dies, and reads and writes there", {
  skip,
}, async () => {
  const driver = redis.ports.cache(sentinel?.url as URL);
  const events: string[] = [];
  driver.watch?.({
    onWatching: () => events.push("watching"),
    onLost: () => events.push("lost"),
    onRemoved: () => {},
  });
  await driver.open();
  await driver.set("failover", "a", "1", { ttlMs: 60_000, tags: [] });
  await until(() => events.includes("watching"));
  await sentinel?.primary.kill();
  await assert.rejects(driver.set("failover", "b", "1", { ttlMs: 60_000, tags: [] }));
  await until(() =>
    driver.set("failover", "b", "2", { ttlMs: 60_000, tags: [] }).then(
      () => true,
      () => false,
    ),
  );
  assert.equal((await driver.getMany("failover", ["b"]))[0]?.value, "2");
  await until(() => events.length === 3);
  assert.deepEqual(events, ["watching", "lost", "watching"]);
  await driver.close();
});

test("redis stops the start when no sentinel knows the primary, or none answers", { skip }, async () => {
  const unknown = new URL(`${sentinel?.url.href.replace("/main", "/other")}`);
  await assert.rejects(
    redis.ports.cache(unknown).open(),
    (thrown) => thrown instanceof StartError && /no sentinel knows a primary named other/.test(thrown.message),
  );
});

test("redis in a cluster loses a node for its slots alone, and works again when it is back", { skip }, async () => {
  const single = await startRedis(["--cluster-enabled", "yes"]);
  await single.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until(async () => (await single.command("CLUSTER", "INFO")).includes("cluster_state:ok"));
  const driver = redis.ports.cache(new URL(`redis+cluster://127.0.0.1:${single.port}`));
  await driver.open();
  const set = () =>
    driver.set("gone", "a", "1", { ttlMs: 60_000, tags: [] }).then(
      () => true,
      () => false,
    );
  assert.equal(await set(), true);
  await single.command("DEBUG", "SLEEP", "1.5");
  await until(set);
  await driver.close();
  await single.kill();
});
