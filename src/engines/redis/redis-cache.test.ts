import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError, systemClock } from "../../base/index.ts";
import { cacheSuite } from "../../cache/testing.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection } from "./connection.ts";
import redis from "./index.ts";
import { startFakeServer } from "./server.fixture.ts";

const url = process.env.PLINTH_TEST_REDIS_URL;
const skip = url ? false : "PLINTH_TEST_REDIS_URL is not set";
const makeDriver = () => redis.ports.cache(new URL(url as string));

for (const { name, run } of cacheSuite({ makeDriver, wait: (ms) => systemClock.sleep(ms) })) {
  test(`redis ${name}`, { skip }, run);
}

test("redis loses nothing but speed when the server forgets its scripts", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  const driver = makeDriver();
  await Promise.all([connection.open(), driver.open()]);
  await driver.set("scripts", "a", "1", { ttlMs: 1000, tags: [] });
  await connection.command(["SCRIPT", "FLUSH"]);
  assert.deepEqual(await driver.getMany("scripts", ["a"]), ["1"]);
  await Promise.all([connection.close(), driver.close()]);
});

test("redis keeps nothing without a time to live", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  const driver = makeDriver();
  await Promise.all([connection.open(), driver.open()]);
  await driver.set("ttl", "a", "1", { ttlMs: 500.5, tags: ["red"] });
  await driver.getOrLease("ttl", "b", ["blue"]);
  for (const key of ["v:a", "l:b", "t:", "t:red", "t:blue"]) {
    const leftMs = await connection.command(["PTTL", `plinth:{ttl}:${key}`]);
    assert.ok(typeof leftMs === "number" && leftMs > 0 && leftMs <= 31_000, `${key}: ${leftMs}`);
  }
  await driver.clear("ttl");
  await Promise.all([connection.close(), driver.close()]);
});

test("redis stops the start when the user may not do what a cache does, and says what to grant", async () => {
  const server = await startFakeServer(([name]) =>
    name === "EVALSHA" ? "-NOPERM this user has no permissions to run the 'evalsha' command\r\n" : "+OK\r\n",
  );
  await assert.rejects(
    redis.ports.cache(server.url).open(),
    (thrown) => thrown instanceof StartError && /NOPERM.*~plinth:\* \+@hash/.test(thrown.message),
  );
  await server.close();
});

test("redis starts on a server that has no room left", async () => {
  const server = await startFakeServer(([name]) => (name === "EVALSHA" ? "-OOM no room\r\n" : "+OK\r\n"));
  const driver = redis.ports.cache(server.url);
  await driver.open();
  await driver.close();
  await server.close();
});

test("redis sends what each operation needs in one command, with names as arguments of fixed scripts", async () => {
  const replies: string[] = [];
  const server = await startFakeServer(([name]) => (name === "EVALSHA" ? (replies.shift() ?? ":1\r\n") : "+OK\r\n"));
  const driver = redis.ports.cache(new URL(`${server.url}?prefix=shop`));
  replies.push("*3\r\n:0\r\n$1\r\nT\r\n$1\r\nG\r\n", ":1\r\n");
  await driver.open();
  server.commands.length = 0;

  replies.push("*2\r\n$1\r\n1\r\n$-1\r\n");
  assert.deepEqual(await driver.getMany("n", ["a", "b"]), ["1", undefined]);
  assert.deepEqual(await driver.getMany("n", []), []);
  replies.push("*2\r\n:1\r\n$3\r\nold\r\n");
  assert.deepEqual(await driver.getOrLease("n", "a", ["red"]), { value: "old", fence: undefined });
  replies.push("*4\r\n:0\r\n$1\r\nT\r\n$2\r\nG0\r\n$2\r\nG1\r\n");
  const { fence } = await driver.getOrLease("n", "a", ["red"]);
  replies.push(":0\r\n");
  assert.equal(await driver.set("n", "a", "new", { ttlMs: 10.2, tags: ["red"], fence }), false);
  await driver.delete("n", ["a"]);
  await driver.delete("n", []);
  await driver.invalidate("n", ["red"]);
  await driver.clear("n");

  const sent = server.commands.map(([name, ...rest]) => (name === "EVALSHA" ? rest.slice(1) : [name, ...rest]));
  const nonces = [sent[1]?.[4], sent[2]?.[4], sent[3]?.[4]];
  assert.equal(new Set(nonces).size, 3);
  assert.deepEqual(sent, [
    ["2", "shop:{n}:v:a", "shop:{n}:v:b", "shop:{n}:t:"],
    ["2", "shop:{n}:v:a", "shop:{n}:l:a", "shop:{n}:t:", nonces[0], "30000", "", "red"],
    ["2", "shop:{n}:v:a", "shop:{n}:l:a", "shop:{n}:t:", nonces[1], "30000", "", "red"],
    ["2", "shop:{n}:v:a", "shop:{n}:l:a", "shop:{n}:t:", nonces[2], "11", "new", "T", "", "G0", "red", "G1"],
    ["UNLINK", "shop:{n}:v:a", "shop:{n}:l:a"],
    ["UNLINK", "shop:{n}:t:red"],
    ["UNLINK", "shop:{n}:t:"],
  ]);
  await driver.close();
  await server.close();
});

test("redis refuses a namespace that could be taken for another part of a key", async () => {
  const driver = redis.ports.cache(new URL("redis://127.0.0.1"));
  await assert.rejects(driver.getMany("a}:v:b", ["c"]), /a namespace is letters/);
});
