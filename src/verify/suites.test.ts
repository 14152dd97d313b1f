import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { createManualClock, isError, StartError, systemClock } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { redisSettings } from "./engine-settings.ts";
import type { CaseResult } from "./suites.ts";
import { caseNames, verifyEngine } from "./suites.ts";

const postgresUrl = process.env.PLINTH_TEST_POSTGRES_URL;
const redisUrl = process.env.PLINTH_TEST_REDIS_URL;

describe("verifying an engine", () => {
  test("runs the cases that were chosen, and tells each as it ends", async () => {
    const told: CaseResult[] = [];
    const report = await verifyEngine("memory", {
      port: "cache",
      only: "fence",
      onCase: (result) => told.push(result),
    });
    assert.deepEqual(told, report.cases);
    assert.ok(told.length >= 2);
    assert.ok(
      told.every(({ port, outcome, name }) => port === "cache" && outcome === "passed" && name.includes("fence")),
    );
    assert.deepEqual([report.engine, report.settings], ["memory", []]);
  });

  test("skips by name what the engine does not promise, and says why", async () => {
    const { cases } = await verifyEngine("memory", { port: "broker", only: "process" });
    const skipped = cases.filter(({ outcome }) => outcome === "skipped");
    assert.ok(skipped.some(({ reason }) => reason === "this broker does not have the flag durable"));
    assert.ok(cases.every(({ outcome }) => outcome !== "failed"));
  });

  test("runs the database and its broker on the embedded engine, and says what a commit survives there", async () => {
    const { cases, guarantee } = await verifyEngine("pglite:memory:verify", { only: "subscription of its type" });
    assert.deepEqual(
      cases.map(({ port, outcome }) => [port, outcome]),
      [["broker", "passed"]],
    );
    assert.match(guarantee, /^nothing/);
  });

  test("fails a case that runs out of time, and goes on", async () => {
    const { cases } = await verifyEngine("memory", { port: "cache", only: "its time is over", caseTimeoutMs: 20 });
    assert.deepEqual(
      cases.map(({ outcome, reason }) => [outcome, reason]),
      [["failed", "it took more than 20 ms"]],
    );
  });

  test("refuses what nobody serves, and a choice of nothing", async () => {
    const wrong: [string, object, RegExp][] = [
      ["nowhere", {}, /no engine serves this; write memory, or an address that begins with .*postgres:/],
      ["http://a", {}, /no engine serves this/],
      ["memory", { port: "lease" }, /memory serves no lease; it has broker, cache/],
      ["memory", { only: "xyzzy" }, /no case of memory has "xyzzy"/],
    ];
    for (const [url, options, pattern] of wrong) {
      await assert.rejects(
        verifyEngine(url, options),
        (thrown) => thrown instanceof StartError && pattern.test(thrown.message),
      );
    }
  });

  test("leaves nothing behind on Postgres, and judges its settings", { skip: !postgresUrl }, async () => {
    const { cases, settings, guarantee } = await verifyEngine(postgresUrl as string, { only: "every subscription" });
    assert.deepEqual(
      cases.map(({ outcome }) => outcome),
      ["passed"],
    );
    assert.deepEqual(
      settings.find(({ name }) => name === "fsync"),
      { name: "fsync", value: "on", verdict: "right" },
    );
    assert.equal(guarantee, "an acknowledged commit survives the loss of power");
  });

  test("marks a setting with which a promise does not hold", { skip: !postgresUrl }, async () => {
    const url = new URL(postgresUrl as string);
    const admin = postgres.ports.database?.(url) as DatabaseDriver;
    await admin.open();
    const db = createDatabase({ driver: admin, schema: "public" });
    const role = `verify_${process.pid}`;
    const script = (text: string) => db.session((session) => session.script(text));
    await script(`create role ${role} login password 'x' in role ${decodeURIComponent(url.username)}`);
    try {
      await script(`alter role ${role} set synchronous_commit = off`);
      url.username = role;
      url.password = "x";
      const { settings, guarantee } = await verifyEngine(url.href, { port: "broker", only: "cannot work" });
      const found = settings.find(({ name }) => name === "synchronous_commit");
      assert.deepEqual([found?.value, found?.verdict], ["off", "wrong"]);
      assert.match(guarantee, /^lowered/);
    } finally {
      await script(`drop owned by ${role} cascade; drop role ${role}`);
      await admin.close();
    }
  });

  test("judges the settings of Redis", { skip: !redisUrl }, async () => {
    const { settings, cases } = await verifyEngine(redisUrl as string, { only: "deletes many keys" });
    assert.deepEqual(
      cases.map(({ outcome }) => outcome),
      ["passed"],
    );
    assert.equal(settings.find(({ name }) => name === "redis_version")?.verdict, "right");
    assert.ok(settings.every(({ verdict }) => verdict !== "unread"));
  });
});

describe("the settings of a Redis server", () => {
  const serve = async (
    answer: (command: string) => string | undefined,
  ): Promise<{ url: (form?: string) => URL; server: Server }> => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        for (const command of chunk.toString().split(/(?=\*\d)/)) {
          const text = answer(
            command
              .replaceAll(/[*$]\d+\r\n/g, "")
              .trim()
              .replaceAll("\r\n", " "),
          );
          if (text === undefined) socket.destroy();
          else socket.write(text);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    server.unref();
    const { port } = server.address() as { port: number };
    return { server, url: (form = "redis://HOST") => new URL(form.replace("HOST", `127.0.0.1:${port}`)) };
  };

  test("are asked for with a login, and told as unread where the server hides them", async () => {
    const asked: string[] = [];
    const { url, server } = await serve((command) => {
      asked.push(command);
      if (command.startsWith("AUTH")) return "+OK\r\n";
      return command.startsWith("INFO") ? "$19\r\nredis_version:3.2.1\r\n" : "-ERR unknown command\r\n";
    });
    const settings = await redisSettings(url("redis://me:p%40ss@HOST"), systemClock);
    assert.equal(asked[0], "AUTH me p@ss");
    assert.deepEqual(
      settings.map(({ verdict }) => verdict),
      ["wrong", "unread", "unread", "unread"],
    );
    server.close();
  });

  test("are unread where several servers answer", async () => {
    const settings = await redisSettings(new URL("redis+sentinel://a:1/main"), systemClock);
    assert.ok(settings.length > 0 && settings.every(({ verdict }) => verdict === "unread"));
  });

  test("that never come end with an error, by a closed connection, nonsense or silence", async () => {
    const unread = (thrown: unknown): boolean => isError(thrown, "ENGINE_SETTINGS_UNREAD");
    const closed = await serve(() => undefined);
    await assert.rejects(redisSettings(closed.url(), systemClock), unread);
    const nonsense = await serve(() => "x".repeat(200_000));
    await assert.rejects(redisSettings(nonsense.url(), systemClock), unread);
    const clock = createManualClock();
    const silent = await serve(() => "");
    const asking = redisSettings(silent.url(), clock);
    await Promise.all([assert.rejects(asking, unread), clock.advance(6000)]);
    await assert.rejects(redisSettings(new URL("rediss://127.0.0.1:1"), systemClock), unread);
  });
});

test("the record of results has the cases that the suites have now", () => {
  const results = JSON.parse(
    readFileSync(new URL("../../docs/engines.results.json", import.meta.url), "utf8"),
  ) as Record<string, { ports: Record<string, Record<string, string>> }>;
  const names = caseNames();
  const remedy = "run each engine again: plinth verify engine URL --record docs/engines.results.json, then npm run gen";
  assert.deepEqual(Object.keys(results), ["memory", "pglite", "postgres", "redis"]);
  for (const [engine, { ports }] of Object.entries(results)) {
    for (const [port, cases] of Object.entries(ports)) {
      const wanted = names[port as keyof typeof names];
      assert.deepEqual(Object.keys(cases).sort(), [...wanted].sort(), `${engine} ${port}: ${remedy}`);
      const failed = Object.keys(cases).filter((name) => cases[name] === "failed");
      assert.deepEqual(failed, [], `${engine} ${port}`);
    }
  }
});
