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

for (const { name, run } of cacheSuite({ makeDriver, tellsInOrder: true, wait: (ms) => systemClock.sleep(ms) })) {
  test(`redis ${name}`, { skip }, run);
}

test("redis loses nothing but speed when the server forgets its scripts", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  const driver = makeDriver();
  await Promise.all([connection.open(), driver.open()]);
  await driver.set("scripts", "a", "1", { ttlMs: 1000, tags: [] });
  await connection.command(["SCRIPT", "FLUSH"]);
  assert.equal((await driver.getMany("scripts", ["a"]))[0]?.value, "1");
  await Promise.all([connection.close(), driver.close()]);
});

test("redis keeps nothing without a time to live", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  const driver = makeDriver();
  await Promise.all([connection.open(), driver.open()]);
  await driver.set("ttl", "a", "1", { ttlMs: 500.5, tags: ["red"] });
  await driver.getOrLease("ttl", "b", ["blue"]);
  await driver.delete("ttl", ["c"], { version: 7 });
  await driver.invalidate("ttl", ["green"]);
  for (const key of ["v:a", "l:b", "x:c", "t:", "t:red", "t:blue", "m:green"]) {
    const leftMs = await connection.command(["PTTL", `plinth:{ttl}:${key}`]);
    assert.ok(typeof leftMs === "number" && leftMs > 0 && leftMs <= 60_000, `${key}: ${leftMs}`);
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
    (thrown) => thrown instanceof StartError && /NOPERM.*~plinth:\* &plinth:\* \+@hash/.test(thrown.message),
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
  const leased = "*6\r\n:0\r\n$-1\r\n:0\r\n$1\r\nT\r\n$2\r\nG0\r\n$2\r\nG1\r\n";
  const found = "*5\r\n$3\r\nold\r\n:900\r\n:1000\r\n:100\r\n*1\r\n$3\r\nred\r\n";
  replies.push(leased, ":1\r\n");
  await driver.open();
  server.commands.length = 0;

  const entry = { value: "old", freshMs: 800, ageMs: 100, tags: ["red"] };
  replies.push(`*2\r\n${found}$-1\r\n`);
  assert.deepEqual(await driver.getMany("n", ["a", "b"]), [entry, undefined]);
  assert.deepEqual(await driver.getMany("n", []), []);
  replies.push(`*2\r\n:1\r\n${found}`);
  const hit = await driver.getOrLease("n", "a", ["red"]);
  assert.deepEqual(hit, { found: entry, fence: undefined, isBusy: false, primary: false });
  replies.push("*3\r\n:2\r\n$-1\r\n:1\r\n");
  const busy = await driver.getOrLease("n", "a", ["red"], { insist: true });
  assert.deepEqual(busy, { found: undefined, fence: undefined, isBusy: true, primary: true });
  replies.push(leased);
  const { fence } = await driver.getOrLease("n", "a", ["red"]);
  replies.push(":0\r\n");
  const write = { ttlMs: 10.2, keepMs: 5, tags: ["red"], version: 3, fence };
  assert.equal(await driver.set("n", "a", "new", write), false);
  await driver.release("n", "a", fence as string);
  await driver.delete("n", ["a"], { version: 4 });
  await driver.delete("n", []);
  await driver.invalidate("n", ["red"]);
  await driver.invalidate("n", []);
  await driver.clear("n");

  const sent = server.commands.map(([name, ...rest]) => (name === "EVALSHA" ? rest.slice(1) : [name, ...rest]));
  const nonces = [sent[1]?.[6], sent[2]?.[6], sent[3]?.[6], sent[4]?.[5]];
  assert.equal(new Set(nonces).size, 4);
  const [v, l, x] = ["shop:{n}:v:a", "shop:{n}:l:a", "shop:{n}:x:a"];
  const [t, m] = ["shop:{n}:t:", "shop:{n}:m:"];
  assert.deepEqual(
    sent.map((command) => command.map((text) => (text?.startsWith("{") ? withoutSender(text) : text))),
    [
      ["2", v, "shop:{n}:v:b", t],
      ["3", v, l, x, t, m, nonces[0], "30000", "10000", "", "", "red"],
      ["3", v, l, x, t, m, nonces[1], "30000", "10000", "1", "", "red"],
      ["3", v, l, x, t, m, nonces[2], "30000", "10000", "", "", "red"],
      ["3", v, l, x, t, nonces[3], "16", "5", "new", "T", "3", "60000", "", "", "", "G0", "red", "G1"],
      ["1", l, "T", nonces[2]],
      ["3", v, l, x, "4", "60000", "shop:removed", '{"kind":"keys","namespace":"n","names":["a"]}'],
      ["2", `${t}red`, `${m}red`, "60000", "shop:removed", '{"kind":"tags","namespace":"n","names":["red"]}'],
      ["2", t, m, "60000", "shop:removed", '{"kind":"all","namespace":"n"}'],
    ],
  );
  await driver.close();
  await server.close();
});

function withoutSender(text: string): string {
  const { from, ...rest } = JSON.parse(text);
  assert.ok(from.length > 8);
  return JSON.stringify(rest);
}

test("redis refuses a namespace that could be taken for another part of a key", async () => {
  const driver = redis.ports.cache(new URL("redis://127.0.0.1"));
  await assert.rejects(driver.getMany("a}:v:b", ["c"]), /a namespace is letters/);
});
