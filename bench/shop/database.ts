import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** A database for one shop, on the Postgres that the bench was given. */
export interface ShopDatabase {
  readonly url: string;
  /** Accounts for customers, and more of everything than they can buy. */
  fill(customers: number): Promise<void>;
  /** Processor time of the server's processes for this database so far; NaN where they run elsewhere. */
  cpuUs(): Promise<number>;
  /** Resolves when every event has taken effect, with how long that took. */
  quiet(msMax: number): Promise<number>;
  countOrders(): Promise<number>;
  drop(): Promise<void>;
}

export async function createShopDatabase(server: string): Promise<ShopDatabase> {
  const name = `plinth_bench_${randomBytes(4).toString("hex")}`;
  const admin = new pg.Client(server);
  await admin.connect();
  await admin.query(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const client = new pg.Client(url.href);
  await client.connect();
  const numberOf = async (text: string): Promise<number> => Number((await client.query(text)).rows[0]?.count);
  return {
    url: url.href,
    async fill(customers) {
      await client.query(
        `insert into accounts.accounts (id, email, name, password)
         select 'customer-' || i, 'customer-' || i || '@example.com', 'A customer', null from generate_series(0, $1::int - 1) i`,
        [customers],
      );
      await client.query("update inventory.stock set received = received + 1e9, available = available + 1e9");
    },
    async cpuUs() {
      const { rows } = await client.query("select pid from pg_stat_activity where datname = $1", [name]);
      return rows.reduce((sum, { pid }) => sum + cpuOf(pid), 0);
    },
    async quiet(msMax) {
      const publishers = ["checkout", "inventory", "payment", "shipping", "email"];
      const unpublished = publishers.map(
        (each) => `(select count(*) from ${each}.plinth_outbox where published_at is null)`,
      );
      const startedAt = performance.now();
      for (;;) {
        // What clean-ups wait for is the time, not the processor.
        const left = await numberOf(
          `select ${unpublished.join(" + ")} + (select count(*) from plinth_broker.deliveries
             where subscription <> 'checkout.cleanUpAfterCrash') as count`,
        );
        const tookMs = performance.now() - startedAt;
        if (left === 0 || tookMs > msMax) return tookMs;
        await sleep(50);
      }
    },
    countOrders: () => numberOf("select count(*) from checkout.orders where status = 'placed'"),
    async drop() {
      await client.end();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
    },
  };
}

/** User and system time of a process of this machine, from the fourteenth field on, in hundredths of a second. */
function cpuOf(pid: number): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return Number.NaN;
  const fields = readFileSync(file, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
