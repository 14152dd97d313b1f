import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createDatabaseBroker } from "./database-broker.ts";
import type { RelayProcessOptions } from "./fixtures/relay-process.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage, Sold } from "./fixtures/stage.ts";
import { createPublisher } from "./publisher.ts";
import { mail, until } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";

describe("relays in processes of their own", { skip }, () => {
  let stage: Stage;
  const children = new Set<ChildProcess>();
  const schemas: string[] = [];
  before(async () => {
    const driver = postgres.ports.database?.(new URL(url ?? ""));
    assert.ok(driver);
    stage = await openStage(driver);
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    const admin = createDatabase({ driver: stage.driver, schema: "public" });
    for (const schema of schemas) await admin.execute(sql`drop schema if exists ${sql.id(schema)} cascade`);
    await stage.close();
  });

  const startRelay = async (options: Omit<RelayProcessOptions, "url">): Promise<ChildProcess> => {
    const script = new URL("./fixtures/relay-process.ts", import.meta.url).pathname;
    const { NODE_V8_COVERAGE: _, ...env } = process.env;
    const child = spawn(
      process.execPath,
      ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify({ ...options, url })],
      { env, stdio: ["ignore", "pipe", "inherit"] },
    );
    children.add(child);
    await once(child.stdout, "data");
    return child;
  };
  const signal = async (child: ChildProcess, name: "SIGKILL" | "SIGTERM"): Promise<void> => {
    const over = once(child, "exit");
    child.kill(name);
    await over;
    children.delete(child);
  };
  const openShop = async () => {
    const database = await stage.service();
    const own = createDatabase({ driver: stage.driver, schema: `${database.schema}_broker` });
    schemas.push(own.schema);
    const broker = createDatabaseBroker({ database: own });
    await broker.open();
    await broker.ensure([mail]);
    await broker.close();
    return { database, messages: () => arrivedIn(own) };
  };
  const holders = async (database: Database): Promise<readonly number[]> => {
    const rows = await database.sql<{ count: number }>`
      select count(*)::int as count from plinth_relay_buckets
      where owner is not null and expires_at > clock_timestamp() group by owner order by 1`;
    return rows.map(({ count }) => count);
  };

  for (const joins of [true, false]) {
    const where = joins ? "into a broker in the same database" : "to a broker elsewhere";
    it(`stopped, woken and killed while they publish ${where}: nothing lost, each key in order, all done`, async () => {
      const { database, messages } = await openShop();
      const options = { schema: database.schema, joins, publishDelayMs: 20 };
      const first = await startRelay(options);
      const second = await startRelay(options);
      await until("they share the keys", 10_000, async () => String(await holders(database)) === "32,32");

      const publisher = createPublisher({ service: "shop", database });
      let isSelling = true;
      const sold = new Map<string, number>();
      const sell = async (key: string) => {
        while (isSelling) {
          const n = (sold.get(key) ?? 0) + 1;
          await database.transaction((tx) => publisher.publish(Sold, { key, n }, { in: tx }));
          sold.set(key, n);
          await systemClock.sleep(3);
        }
      };
      const selling = Promise.all(Array.from({ length: 8 }, (_, i) => sell(`key ${i}`)));

      await systemClock.sleep(300);
      first.kill("SIGSTOP");
      await until("the other one has all keys", 10_000, async () => String(await holders(database)) === "64");
      await systemClock.sleep(300);
      first.kill("SIGCONT");
      await until("they share again", 10_000, async () => String(await holders(database)) === "32,32");
      await signal(second, "SIGKILL");
      await until("the first one has all keys", 10_000, async () => String(await holders(database)) === "64");
      isSelling = false;
      await selling;
      const total = [...sold.values()].reduce((sum, n) => sum + n, 0);
      await until("all have arrived", 10_000, async () => (await messages()).length >= total);
      for (const [key, count] of sold) {
        const numbers = (await messages()).filter((message) => message.key === key).map(({ n }) => n);
        assert.deepEqual(
          numbers,
          Array.from({ length: count }, (_, i) => i + 1),
          key,
        );
      }
      await signal(first, "SIGTERM");
      assert.deepEqual(await holders(database), [], "it took leave");
      const [left] = await database.sql<{ count: number }>`
        select count(*)::int as count from plinth_outbox where published_at is null`;
      assert.equal(left?.count, 0);
    });
  }
});

/** In the order of arrival. The broker keeps a message once, however often it is published. */
async function arrivedIn(broker: Database): Promise<readonly { readonly key: string; readonly n: number }[]> {
  const rows = await broker.sql<{ key: string; sequence: string; n: string }>`
    select key, sequence::text as sequence, payload ->> 'n' as n from messages order by seq`;
  for (const row of rows) assert.equal(row.sequence, row.n, "the sequence counts what was sold of the key");
  return rows.map(({ key, n }) => ({ key, n: Number(n) }));
}
