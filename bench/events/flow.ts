import assert from "node:assert/strict";
import pg from "pg";
import { createRuntime } from "plinth";
import { drive } from "../call/drive.ts";
import { announce } from "../child.ts";
import { definition, shop } from "./definition.ts";

/** One process: the way that the first argument names, on the database of the second, with so many connections. */
const [way = "", url = "", connections = ""] = process.argv.slice(2);
const inFlight = Number(connections);

const ways: Readonly<Record<string, () => Promise<(seconds: number) => Promise<unknown>>>> = {
  "INSERT, pg": alone,
  "INSERT, Plinth": () => throughPlinth("insert"),
  "publish to effect": () => throughPlinth("sell"),
};

const run = await ways[way]?.();
assert.ok(run, `there is no way "${way}"`);
announce({}, { run });

/** What a program without Plinth would write. */
async function alone() {
  const pool = new pg.Pool({ connectionString: url, max: inFlight });
  await pool.query("create table orders (n bigint primary key, customer text not null)");
  let next = 0;
  const insert = async () => {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query("insert into orders values ($1, $2)", [next, `customer ${next++ % 1000}`]);
      await client.query("commit");
    } finally {
      client.release();
    }
  };
  return (seconds: number) => drive(insert, seconds, inFlight);
}

async function throughPlinth(name: "insert" | "sell") {
  const database = new URL(url);
  database.searchParams.set("pool_size", connections);
  const environment = { ...process.env, DATABASE_URL: database.href, PLINTH_LOG: "error", PLINTH_MIGRATE: "true" };
  const runtime = await createRuntime(definition, { environment, management: false, listen: false });
  await runtime.start();
  const admin = new pg.Client(url);
  await admin.connect();
  for (const table of ["shop.orders", "books.entries"]) {
    await admin.query(`create table if not exists ${table} (n bigint primary key, customer text not null)`);
  }
  await admin.query("truncate shop.orders");
  await admin.end();
  const client = runtime.client(shop);
  return (seconds: number) => client[name]({ seconds, inFlight }, { deadline: "120s" });
}
