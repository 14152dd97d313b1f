import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isError, newId, systemClock } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import {
  checkFaultsBit,
  checkRecovery,
  checkSet,
  combineVerdicts,
  createHistory,
  readHistory,
  spawnFaultProxy,
} from "./index.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";

const open = async (address: string): Promise<DatabaseDriver> => {
  const driver = postgres.ports.database?.(new URL(address));
  assert.ok(driver);
  await driver.open();
  return driver;
};

test("under writers whose COMMITs lose their replies, nothing acknowledged is lost and nothing that failed is there", {
  skip,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-ambiguous-"));
  const { hostname: host, port } = new URL(url as string);
  const proxy = await spawnFaultProxy({ target: { host, port: Number(port || 5432) }, protocol: "postgres" });
  const direct = await open(url as string);
  const driver = await open(proxy.address(url as string));
  const schema = `ambiguous_${newId().replaceAll("-", "")}`;
  const truth = createDatabase({ driver: direct, schema });
  await truth.execute(sql`create schema ${sql.id(schema)}`);
  t.after(async () => {
    await truth.execute(sql`drop schema ${sql.id(schema)} cascade`);
    await Promise.all([direct.close(), driver.close()]);
    await proxy.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await truth.sql`create table item (id text primary key)`;
  const db = createDatabase({ driver, schema });
  const history = createHistory(join(folder, "history.ndjson"));

  const write = async (writer: number, i: number): Promise<void> => {
    const key = `${writer}-${i}`;
    const operation = history.begin({ process: `w${writer}`, action: "add", key });
    try {
      await db.transaction((tx) => tx.sql`insert into item values (${key})`, { attempts: 1 });
      operation.ok();
    } catch (thrown) {
      assert.ok(isError(thrown), String(thrown));
      if (thrown.executed === "no") operation.fail(thrown.reason);
      else operation.unknown(thrown.reason);
    }
  };
  const round = (from: number, count: number) =>
    Promise.all(
      [0, 1, 2, 3].map(async (writer) => {
        for (let i = from; i < from + count; i++) await write(writer, i);
      }),
    );

  await round(0, 10);
  await proxy.plan({ name: "reply to COMMIT", match: "^commit", action: "cut-reply", nth: 3, times: 8 });
  await proxy.plan({ name: "COMMIT itself", match: "^commit", action: "cut-request", nth: 14, times: 8 });
  await proxy.plan({ name: "insert", match: "^insert into item", action: "cut-request", nth: 40, times: 4 });
  await round(100, 15);
  await proxy.clear();
  const healedAt = systemClock.wallNow();
  await round(200, 10);
  history.close();

  const { operations } = await readHistory(join(folder, "history.ndjson"));
  const rows = await truth.sql<{ id: string }>`select id from item`;
  const adds = operations.map(({ key = "", outcome, endedAt }) => ({ element: key, outcome, endedAt }));
  const reads = [{ beganAt: systemClock.wallNow() + 1, elements: rows.map(({ id }) => id) }];
  const set = checkSet({ adds, reads });
  const hits = await proxy.hits();
  const bites = (rule: string): number => hits.filter((hit) => hit.rule === rule).length;
  const verdicts = [
    set,
    checkRecovery({ operations, healedAt, withinMs: 0 }),
    checkFaultsBit([
      { fault: "reply to COMMIT", bites: bites("reply to COMMIT"), bitesMin: 8 },
      { fault: "COMMIT itself", bites: bites("COMMIT itself"), bitesMin: 8 },
      { fault: "insert", bites: bites("insert"), bitesMin: 4 },
    ]),
  ];
  assert.equal(combineVerdicts(verdicts), true, JSON.stringify(verdicts, null, 2));
  assert.deepEqual([set.counts.unknown, set.counts.recovered], [16, 8], "half of the unknown ones happened");
  assert.ok(hits.filter(({ rule }) => rule === "reply to COMMIT").every(({ answer }) => answer === "COMMIT"));
  // The mutant: a client that takes the unknown for a failure says that what happened did not.
  const guessed = adds.map((add) => (add.outcome === "unknown" ? { ...add, outcome: "fail" as const } : add));
  assert.equal(checkSet({ adds: guessed, reads }).counts.phantom, 8);
});
