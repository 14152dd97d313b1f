import pg from "pg";
import { drive } from "../call/drive.ts";
import { announce } from "../child.ts";
import { accountCount, accountsTable, createAccounts, customerOf, ordersTable } from "./orders.ts";

/**
 * What a program without Plinth would write: the driver's own pool. `named`: its statements have names, so that the server
 * plans them once for each connection, as Plinth's are.
 */
const [url = "", connections = ""] = process.argv.slice(2);
const inFlight = Number(connections);
const pool = new pg.Pool({ connectionString: url, max: inFlight });
await pool.query(`create table orders ${ordersTable}`);
await pool.query(`create table accounts ${accountsTable}`);
await pool.query(`insert into accounts select i, 0 from generate_series(0, ${accountCount - 1}) i`);
const accountOf = createAccounts();
let next = 0;

type Send = (client: pg.PoolClient, text: string, values: readonly unknown[]) => Promise<pg.QueryResult>;

const plain: Send = (client, text, values) => client.query(text, [...values]);
const named: Send = (client, text, values) => client.query({ name: names[text] ?? "", text, values: [...values] });

const insertText = "insert into orders values ($1, $2)";
const readText = "select balance from accounts where id = $1 for update";
const writeText = "update accounts set balance = $1 where id = $2";
const names: Readonly<Record<string, string>> = { [insertText]: "insert", [readText]: "read", [writeText]: "write" };

announce(
  {},
  {
    insert: (seconds) => drive(() => insert(plain), seconds, inFlight),
    "insert, named": (seconds) => drive(() => insert(named), seconds, inFlight),
    change: (seconds) => drive(() => change(plain), seconds, inFlight),
    "change, named": (seconds) => drive(() => change(named), seconds, inFlight),
    async counts() {
      const { rows } = await pool.query(
        "select (select count(*)::int from orders) as orders, (select sum(balance)::int from accounts) as changes",
      );
      return rows[0];
    },
  },
);

function insert(send: Send): Promise<void> {
  const n = next++;
  return inTransaction(async (client) => void (await send(client, insertText, [n, customerOf(n)])));
}

function change(send: Send): Promise<void> {
  const id = accountOf();
  return inTransaction(async (client) => {
    const { rows } = await send(client, readText, [id]);
    await send(client, writeText, [rows[0].balance + 1, id]);
  });
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
