import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../../base/index.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection, replyOf } from "./connection.ts";
import redis from "./index.ts";
import { getManyScript } from "./scripts.ts";
import { TurnReads } from "./turn-reads.ts";

const url = process.env.PLINTH_TEST_REDIS_URL;
const skip = url ? false : "PLINTH_TEST_REDIS_URL is not set";

function recordRuns() {
  const runs: (readonly string[])[] = [];
  const reads = new TurnReads({
    async evaluate(_script, keys) {
      runs.push(keys);
      return [...keys];
    },
  });
  return { reads, runs };
}

test("reads of one turn go out as one, and each gets its own answers in order", async () => {
  const { reads, runs } = recordRuns();
  const later = Promise.resolve().then(() => reads.read("n:", ["d"]));
  const answers = await Promise.all([reads.read("n:", ["a"]), reads.read("n:", ["b", "c"]), later]);
  assert.deepEqual(answers, [["n:v:a"], ["n:v:b", "n:v:c"], ["n:v:d"]]);
  assert.deepEqual(runs, [["n:v:a", "n:v:b", "n:v:c", "n:v:d"]]);
  await reads.read("n:", ["a"]);
  assert.equal(runs.length, 2);
});

test("a run has one name and at most 32 keys, but for a single read of more", async () => {
  const { reads, runs } = recordRuns();
  const many = Array.from({ length: 40 }, (_, i) => `${i}`);
  await Promise.all([...many.map((key) => reads.read("n:", [key])), reads.read("m:", ["a"]), reads.read("n:", many)]);
  assert.deepEqual(runs.map((keys) => keys.length).sort(), [1, 32, 40, 8].sort());
});

test("a failure reaches all who share the run, and nobody else", async () => {
  let isWell = false;
  const reads = new TurnReads({
    async evaluate(_script, keys) {
      if (!isWell) throw new Error("gone");
      return [...keys];
    },
  });
  const outcomes = await Promise.allSettled([reads.read("n:", ["a"]), reads.read("n:", ["b"])]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  isWell = true;
  assert.deepEqual(await reads.read("n:", ["a"]), ["n:v:a"]);
});

test("what somebody else keeps under a name of ours is a miss, and costs others nothing", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  const driver = redis.ports.cache(new URL(url as string));
  await Promise.all([connection.open(), driver.open()]);
  const namespace = `foreign-${newId()}`;
  const [entry, tag] = [`plinth:{${namespace}}:v:a`, `plinth:{${namespace}}:t:red`];
  await connection.command(["SET", entry, "no entry", "PX", "5000"]);
  await driver.set(namespace, "b", "1", { ttlMs: 1000, tags: [] });
  await driver.set(namespace, "c", "2", { ttlMs: 1000, tags: ["red"] });
  await connection.command(["DEL", tag]);
  await connection.command(["HSET", tag, "no", "generation"]);
  const found = await Promise.all(["a", "b", "c"].map((key) => driver.getMany(namespace, [key])));
  assert.deepEqual(
    found.map(([each]) => each?.value),
    [undefined, "1", undefined],
  );
  await connection.command(["DEL", entry, tag]);
  await Promise.all([connection.close(), driver.close()]);
});

test("what else goes wrong in a read is told as the server tells it, its code first", { skip }, async () => {
  const connection = new RedisConnection(parseAddress(new URL(url as string)));
  await connection.open();
  const user = `reader-${newId()}`;
  await connection.command(["ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all", "-hgetall"]);
  const limited = new URL(url as string);
  [limited.username, limited.password] = [user, "secret"];
  const reader = new RedisConnection(parseAddress(limited));
  await reader.open();
  const failure = await reader.evaluate(getManyScript, [`plinth:{${user}}:v:a`], ["t:"]).catch((thrown) => thrown);
  await connection.command(["ACL", "DELUSER", user]);
  await Promise.all([connection.close(), reader.close()]);
  assert.match(replyOf(failure), /^(?:NOPERM|ERR) (?!user_script)/);
});
