import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { createRuntime, type Runtime } from "plinth";
import { announce } from "../child.ts";
import { catalog, definition, reading, shop, tables } from "./definition.ts";
import { accountCount, pacePerSecond, readerCount } from "./orders.ts";

/** One process of Plinth: `database URL CONNECTIONS`, or `cache URL NEAR`. */
const [what = "", url = "", setting = ""] = process.argv.slice(2);
const environment = { ...process.env, PLINTH_LOG: "error", PLINTH_MIGRATE: "true" };
const options = { management: false, listen: false } as const;
/** Longer than any slice. */
const deadline = "120s";

if (what === "database") await serveDatabase(url, Number(setting));
else await serveCache(url, setting);

async function serveDatabase(url: string, connections: number): Promise<void> {
  const database = new URL(url);
  database.searchParams.set("pool_size", String(connections));
  const runtime = await createRuntime(definition, {
    ...options,
    environment: { ...environment, DATABASE_URL: database.href },
  });
  await runtime.start();
  const admin = new pg.Client(url);
  await admin.connect();
  for (const [table, columns] of Object.entries(tables)) await admin.query(`create table ${table} ${columns}`);
  await admin.query(`insert into shop.accounts select i, 0 from generate_series(0, ${accountCount - 1}) i`);
  await proveUndone(runtime, admin);
  const client = runtime.client(shop);
  announce(
    {},
    {
      insert: (seconds) => client.insert({ seconds, inFlight: connections }, { deadline }),
      change: (seconds) => client.change({ seconds, inFlight: connections }, { deadline }),
      effect: (seconds) => client.sell({ seconds, inFlight: connections }, { deadline }),
      pace: (seconds) => client.sellAt({ seconds, rate: pacePerSecond }, { deadline }),
      async counts() {
        const { rows } = await admin.query(
          `select (select count(*)::int from shop.orders) as orders, (select count(*)::int from books.entries) as entries,
            (select sum(balance)::int from shop.accounts) as changes`,
        );
        return rows[0];
      },
    },
  );
}

/** What did not happen has no effect. */
async function proveUndone(runtime: Runtime, admin: pg.Client): Promise<void> {
  const { n } = await runtime.client(shop).undo();
  await sleep(500);
  const { rows } = await admin.query("select from books.entries where n = $1", [n]);
  assert.equal(rows.length, 0, "an event of a transaction that was rolled back took effect");
}

async function serveCache(url: string, near: string): Promise<void> {
  const runtime = await createRuntime(reading, {
    ...options,
    environment: { ...environment, CACHE_URL: url, PLINTH_CACHE_NEAR: near },
  });
  await runtime.start();
  const client = runtime.client(catalog);
  await client.fill(undefined, { deadline });
  announce({}, { read: (seconds) => client.read({ seconds, inFlight: readerCount }, { deadline }) });
}
