import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createManualClock, StartError, systemClock } from "../../base/index.ts";
import { parseAddress } from "./address.ts";
import { defineScript, RedisConnection } from "./connection.ts";
import type { FakeServer } from "./server.fixture.ts";
import { ok, startFakeServer } from "./server.fixture.ts";

const impatient = { next: () => 0, uint32: () => 0, fill: (bytes: Uint8Array) => bytes };

async function connected(server: FakeServer, options: ConstructorParameters<typeof RedisConnection>[1] = {}) {
  const connection = new RedisConnection(parseAddress(server.url), { random: impatient, ...options });
  await connection.open();
  return connection;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 500, "waited for 5 s in vain");
    await systemClock.sleep(10);
  }
}

/** Answers the way a server does that is asked for a name and a password first. */
const handshake = (name: string | undefined) => name === "AUTH" || name === "CLIENT" || name === "SELECT";

test("connects under its name, commands, and closes", async () => {
  const server = await startFakeServer();
  const connection = await connected(server, { applicationName: "shop orders" });
  assert.deepEqual(server.commands[0], ["CLIENT", "SETNAME", "shop-orders"]);
  assert.equal(await connection.command(["PING"]), "OK");
  await connection.close();
  await connection.close();
  await assert.rejects(connection.command(["PING"]), {
    code: "unavailable",
    reason: "REDIS_UNREACHABLE",
    executed: "no",
  });
  await server.close();
});

test("stops the start when nothing answers, after five attempts, and says where and what to do", async () => {
  const server = await startFakeServer();
  await server.close();
  const url = new URL(server.url);
  url.password = "hunter2";
  const waits: number[] = [];
  const clock = {
    ...createManualClock(),
    sleep: async (ms: number) => {
      waits.push(ms);
    },
  };
  const connection = new RedisConnection(parseAddress(url), { clock });
  await assert.rejects(connection.open(), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.match(thrown.message, /nothing answers at redis:\/\/127\.0\.0\.1:\d+ \(5 attempts; ECONNREFUSED\)/);
    assert.match(thrown.message, /Start the server, correct the URL, or leave it out to use the cache in memory/);
    assert.ok(!inspect(thrown, { depth: 10 }).includes("hunter2"));
    return true;
  });
  assert.equal(waits.length, 4);
});

test("stops the start at once when the server refuses the credentials, and does not print them", async () => {
  const server = await startFakeServer(([name]) =>
    name === "AUTH" ? "-WRONGPASS invalid username-password pair\r\n" : "+OK\r\n",
  );
  const url = new URL(server.url);
  url.password = "hunter2";
  await assert.rejects(new RedisConnection(parseAddress(url)).open(), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.match(thrown.message, /refused the connection \(WRONGPASS .*Check user name, password and database number/);
    assert.ok(!inspect(thrown, { depth: 10 }).includes("hunter2"));
    return true;
  });
  assert.equal(server.connectionCount, 1);
  assert.deepEqual(server.commands[0], ["AUTH", "hunter2"]);
  await server.close();
});

test("stops the start when the package is not installed, and names it", async () => {
  const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
  const open = (load: () => Promise<unknown>) =>
    new RedisConnection(parseAddress(new URL("redis://x")), { loadPackage: load }).open();
  await assert.rejects(
    open(() => Promise.reject(missing)),
    /needs the npm package "@redis\/client": run npm install @redis\/client/,
  );
  await assert.rejects(
    open(() => Promise.reject(new Error("broken package"))),
    /broken package/,
  );
});

test("speaks TLS to a rediss address", async () => {
  const server = await startFakeServer();
  const url = new URL(server.url.href.replace("redis:", "rediss:"));
  const clock = { ...createManualClock(), sleep: async () => {} };
  await assert.rejects(new RedisConnection(parseAddress(url), { clock }).open(), StartError);
  assert.deepEqual([server.sawTls, server.commands.length], [true, 0]);
  await server.close();
});

test("fails at once while the server is gone, and connects again by itself", async () => {
  const server = await startFakeServer();
  const connection = await connected(server);
  const port = Number(server.url.port);
  await server.close();
  await until(() =>
    connection.command(["PING"]).then(
      () => false,
      (thrown) => thrown.reason === "REDIS_UNREACHABLE",
    ),
  );
  const again = await startFakeServer(ok, port);
  await until(() =>
    connection.command(["PING"]).then(
      () => true,
      () => false,
    ),
  );
  await connection.close();
  await again.close();
});

test("says that the engine failed, with its reply for the log alone", async () => {
  const server = await startFakeServer();
  const connection = await connected(server);
  server.answer = () => "-OOM command not allowed\r\n";
  await assert.rejects(connection.command(["SET", "a", "1"]), (thrown: any) => {
    assert.equal(thrown.reason, "REDIS_FAILED");
    assert.ok(!thrown.message.includes("OOM") && thrown.cause.message.includes("OOM"));
    return true;
  });
  await connection.close();
  await server.close();
});

test("sends a script whole to a server that does not know it, and by its digest afterwards", async () => {
  const server = await startFakeServer();
  const connection = await connected(server);
  const script = defineScript("return 1");
  server.answer = ([name]) => (name === "EVALSHA" ? "-NOSCRIPT No matching script\r\n" : ":1\r\n");
  assert.equal(await connection.evaluate(script, ["key"], ["argument"]), 1);
  assert.deepEqual(server.commands.slice(-2), [
    ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "key", "argument"],
    ["EVAL", "return 1", "1", "key", "argument"],
  ]);
  server.answer = () => "-ERR broken script\r\n";
  await assert.rejects(connection.evaluate(script, [], []), { reason: "REDIS_FAILED" });
  await connection.close();
  await server.close();
});

test("gives up a command after a second, and a connection on which nothing is heard", async () => {
  const server = await startFakeServer();
  const clock = createManualClock();
  const connection = await connected(server, { clock });
  await clock.advance(1);
  server.answer = ([name]) => (handshake(name) ? "+OK\r\n" : undefined);
  const outcome = assert.rejects(connection.command(["PING"]), { reason: "TOO_SLOW" });
  await until(() => server.commands.some(([name]) => name === "PING"));
  await clock.advance(1020);
  await outcome;
  await until(() => server.connectionCount === 2);
  server.answer = ok;
  await until(() =>
    connection.command(["PING"]).then(
      () => true,
      () => false,
    ),
  );
  await connection.close();
  await server.close();
});

test("keeps a connection on which something else was heard while one command hung", async () => {
  const server = await startFakeServer();
  const clock = createManualClock();
  const connection = await connected(server, { clock });
  server.answer = ([name]) => (name === "SLOW" ? undefined : "+OK\r\n");
  const outcomes = [connection.command(["PING"]), assert.rejects(connection.command(["SLOW"]), { reason: "TOO_SLOW" })];
  await until(() => server.commands.some(([name]) => name === "SLOW"));
  await clock.advance(1020);
  await Promise.all(outcomes);
  assert.equal(server.connectionCount, 1);
  const closed = connection.close();
  await clock.advance(1020);
  await closed;
  await server.close();
});

test("closes a connection that hangs after a second, and one that is away at once", async () => {
  const server = await startFakeServer();
  const clock = createManualClock();
  const connection = await connected(server, { clock });
  server.answer = () => undefined;
  const hanging = assert.rejects(connection.command(["SLOW"]));
  const closed = connection.close();
  await until(() => server.commands.some(([name]) => name === "SLOW"));
  await clock.advance(1020);
  await Promise.all([hanging, closed]);

  server.answer = ok;
  const away = await connected(server);
  await server.close();
  await until(() =>
    away.command(["PING"]).then(
      () => false,
      () => true,
    ),
  );
  await away.close();
});
