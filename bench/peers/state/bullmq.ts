import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Job, Queue, Worker } from "bullmq";
import pg from "pg";
import { announce } from "../../child.ts";
import { customerOf, ordersTable, pacePerSecond } from "../../state/orders.ts";
import { createFlow } from "../../state/pace.ts";

/**
 * Jobs in Redis, worked on 32 at a time, with the orders and the entries in Postgres.
 *
 * `"may be lost"`: the job is added after the commit of the order, as most programs do: a process that dies in between has
 * an order without an entry. The entry is an insert that does nothing the second time.
 * `"once"`: what Plinth promises, written by hand: an outbox, emptied into the queue in pieces of 100, and an inbox.
 */
const [url = "", connections = "", promise = "", redis = ""] = process.argv.slice(2);
const inFlight = Number(connections);
const isOnce = promise === "once";
const pool = new pg.Pool({ connectionString: url, max: inFlight });
await pool.query(`create table orders ${ordersTable}`);
await pool.query(`create table entries ${ordersTable}`);
await pool.query("create table outbox (seq bigint generated always as identity primary key, id uuid, data jsonb)");
await pool.query("create table inbox (id uuid primary key)");

interface Sold {
  readonly n: number;
  readonly customer: string;
}

const { hostname, port } = new URL(redis);
const connection = { host: hostname, port: Number(port) };
const name = `plinth-bench-${randomUUID()}`;
const flow = createFlow();
// Its documentation advises to remove what is done.
const defaultJobOptions = { removeOnComplete: true, removeOnFail: 1000 };
const queue = new Queue<Sold>(name, { connection, defaultJobOptions });
const worker = new Worker<Sold>(name, isOnce ? enterOnce : enter, {
  connection: { ...connection, maxRetriesPerRequest: null },
  concurrency: 32,
});
const failures: unknown[] = [];
worker.on("error", (thrown) => failures.push(thrown));
worker.on("failed", (_job, thrown) => failures.push(thrown));
await worker.waitUntilReady();
let isStopped = false;
let wakeRelay = () => {};
if (isOnce) void relay();

announce(
  {},
  {
    effect: (seconds) => flow.run(sell, seconds, inFlight),
    pace: (seconds) => flow.runAt(pacePerSecond, sell, seconds),
    async counts() {
      if (failures.length > 0) throw failures[0];
      const { rows } = await pool.query(
        "select (select count(*)::int from orders) as orders, (select count(*)::int from entries) as entries",
      );
      return rows[0];
    },
    async end() {
      isStopped = true;
      wakeRelay();
      await worker.close();
      await queue.obliterate({ force: true });
      await queue.close();
    },
  },
);

async function sell(n: number): Promise<void> {
  const sold = { n, customer: customerOf(n) };
  if (!isOnce) {
    await inTransaction((client) => client.query("insert into orders values ($1, $2)", [n, sold.customer]));
    await queue.add("sold", sold);
    return;
  }
  await inTransaction(async (client) => {
    await client.query("insert into orders values ($1, $2)", [n, sold.customer]);
    await client.query("insert into outbox (id, data) values ($1, $2)", [randomUUID(), sold]);
  });
  wakeRelay();
}

async function enter({ data: { n, customer } }: Job<Sold>): Promise<void> {
  await pool.query("insert into entries values ($1, $2) on conflict do nothing", [n, customer]);
  flow.end(n);
}

async function enterOnce({ id, data: { n, customer } }: Job<Sold>): Promise<void> {
  const isNew = await inTransaction(async (client) => {
    const { rowCount } = await client.query("insert into inbox values ($1) on conflict do nothing", [id]);
    if (rowCount === 0) return false;
    await client.query("insert into entries values ($1, $2)", [n, customer]);
    return true;
  });
  if (isNew) flow.end(n);
}

/** Adds what waits in the outbox, under its own ids, and then forgets it. */
async function relay(): Promise<void> {
  while (!isStopped) {
    const woken = new Promise<void>((resolve) => {
      wakeRelay = resolve;
    });
    const count = await inTransaction(async (client) => {
      const { rows } = await client.query(
        "delete from outbox where seq in (select seq from outbox order by seq limit 100 for update) returning id, data",
      );
      if (rows.length > 0) {
        await queue.addBulk(rows.map(({ id, data }) => ({ name: "sold", data, opts: { jobId: id } })));
      }
      return rows.length;
    });
    if (count > 0) continue;
    await Promise.race([woken, sleep(200)]);
  }
}

async function inTransaction<R>(work: (client: pg.PoolClient) => Promise<R>): Promise<R> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (thrown) {
    await client.query("rollback");
    throw thrown;
  } finally {
    client.release();
  }
}
