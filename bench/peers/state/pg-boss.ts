import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import PgBoss from "pg-boss";
import { announce } from "../../child.ts";
import { customerOf, ordersTable, pacePerSecond } from "../../state/orders.ts";
import { createFlow } from "../../state/pace.ts";

/**
 * Jobs in Postgres: sent in the transaction of the order, worked on 32 at a time. It shares the pool of the program, and is
 * told of each commit (`notifyWorker`), since it looks for jobs twice a second at most otherwise.
 *
 * `"at least once"`: the entry is an insert that does nothing the second time, and the package marks the job afterwards.
 * `"once"`: the entry and the mark on the job are one transaction, as Plinth has it.
 */
const [url = "", connections = "", promise = ""] = process.argv.slice(2);
const inFlight = Number(connections);
const pool = new pg.Pool({ connectionString: url, max: inFlight });
await pool.query(`create table orders ${ordersTable}`);
await pool.query(`create table entries ${ordersTable}`);

interface Sold {
  readonly n: number;
  readonly customer: string;
}

const queue = "sold";
const flow = createFlow();
const boss = new PgBoss({ db: { executeSql: (text, values) => pool.query(text, values) } });
boss.on("error", (thrown) => {
  throw thrown;
});
await boss.start();
await boss.createQueue(queue);
const options = { batchSize: 32, pollingIntervalSeconds: 0.5 };
const worker = await boss.work<Sold>(queue, options, async (jobs) => {
  await Promise.all(jobs.map(promise === "once" ? enterOnce : enter));
});
await proveUndone();

announce(
  {},
  {
    effect: (seconds) => flow.run(sell, seconds, inFlight),
    pace: (seconds) => flow.runAt(pacePerSecond, sell, seconds),
    async counts() {
      const { rows } = await pool.query(
        "select (select count(*)::int from orders) as orders, (select count(*)::int from entries) as entries",
      );
      return rows[0];
    },
  },
);

async function sell(n: number): Promise<void> {
  await inTransaction(async (client) => {
    await client.query("insert into orders values ($1, $2)", [n, customerOf(n)]);
    await boss.send(queue, { n, customer: customerOf(n) }, { db: dbOf(client) });
  });
  boss.notifyWorker(worker);
}

async function enter({ data: { n, customer } }: PgBoss.Job<Sold>): Promise<void> {
  await pool.query("insert into entries values ($1, $2) on conflict do nothing", [n, customer]);
  flow.end(n);
}

async function enterOnce({ id, data: { n, customer } }: PgBoss.Job<Sold>): Promise<void> {
  await inTransaction(async (client) => {
    await client.query("insert into entries values ($1, $2)", [n, customer]);
    await boss.complete(queue, id, {}, { db: dbOf(client) });
  });
  flow.end(n);
}

async function proveUndone(): Promise<void> {
  const undone = new Error("undone");
  const selling = inTransaction(async (client) => {
    await boss.send(queue, { n: -1, customer: customerOf(1) }, { db: dbOf(client) });
    throw undone;
  });
  await assert.rejects(selling, undone);
  boss.notifyWorker(worker);
  await sleep(500);
  const { rows } = await pool.query("select from entries");
  assert.equal(rows.length, 0, "a job of a transaction that was rolled back was worked on");
}

function dbOf(client: pg.PoolClient): PgBoss.Db {
  return { executeSql: (text, values) => client.query(text, values) };
}

async function inTransaction(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await work(client);
    await client.query("commit");
  } catch (thrown) {
    await client.query("rollback");
    throw thrown;
  } finally {
    client.release();
  }
}
