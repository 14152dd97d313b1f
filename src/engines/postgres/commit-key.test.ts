import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { error, isError, newId, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase, migrate } from "../../database/index.ts";
import { createPostgresDriver } from "./database.ts";

const address = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = address ? false : 'PLINTH_TEST_POSTGRES_URL is not set: eval "$(scripts/engines.sh up postgres)"';

/** Between a driver and the server. From the next COMMIT on, its connection is a black hole in one direction, or is cut. */
interface Proxy {
  readonly url: URL;
  next: "lose commit" | "lose answer" | "cut answer" | undefined;
  /** How often it did. */
  readonly losses: number;
  close(): Promise<void>;
}

async function createProxy(): Promise<Proxy> {
  const target = new URL(address as string);
  const sockets = new Set<Socket>();
  let losses = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isLost = false;
    let answers = true;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    client.on("close", () => {
      // A network that is gone tells the server nothing.
      if (!isLost) upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
    client.on("data", (bytes) => {
      if (isLost) return;
      if (proxy.next && bytes.includes("commit\0")) {
        losses++;
        isLost = true;
        const how = proxy.next;
        proxy.next = undefined;
        if (how === "lose commit") return;
        answers = false;
        if (how === "cut answer") upstream.once("data", () => client.destroy());
      }
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => answers && client.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as { port: number }).port);
  const proxy: Proxy = {
    url,
    next: undefined,
    get losses() {
      return losses;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
  return proxy;
}

describe("a transaction with a key whose COMMIT got lost on the way", { skip }, () => {
  let proxy: Proxy;
  let through: DatabaseDriver;
  let plain: DatabaseDriver;
  let db: Database;
  let admin: Database;
  const schema = `plinth_key_${newId().replaceAll("-", "")}`;

  before(async () => {
    if (skip) return;
    proxy = await createProxy();
    through = createPostgresDriver(proxy.url);
    plain = createPostgresDriver(new URL(address as string));
    await Promise.all([through.open(), plain.open()]);
    admin = createDatabase({ driver: plain, schema });
    db = createDatabase({ driver: through, schema, statementTimeoutMs: 300 });
    await migrate(admin, [{ name: "0001-item", sql: "create table item (id int)" }]);
  });
  after(async () => {
    await admin?.session((session) => session.script(`drop schema if exists "${schema}" cascade`));
    await Promise.all([through?.close(), plain?.close()]);
    await proxy?.close();
  });

  const insert = async (id: number): Promise<{ runs: number; tookMs: number }> => {
    const startedAt = systemClock.now();
    let runs = 0;
    await db.transaction(
      async (tx) => {
        runs++;
        await tx.sql`insert into item values (${id})`;
      },
      { key: `item ${id}` },
    );
    return { runs, tookMs: systemClock.now() - startedAt };
  };
  const rows = async (id: number): Promise<number> => (await admin.sql`select 1 from item where id = ${id}`).length;

  for (const how of ["lose answer", "cut answer"] as const) {
    test(`${how}: is known to have committed, and does not run again`, async () => {
      proxy.next = how;
      const id = how === "lose answer" ? 1 : 2;
      const { runs, tookMs } = await insert(id);
      assert.deepEqual([runs, await rows(id)], [1, 1]);
      assert.ok(tookMs < 5_000, `${tookMs} ms`);
    });
  }

  test("lose commit: has its old session ended, which never hears of it, and runs again", async () => {
    const losses = proxy.losses;
    proxy.next = "lose commit";
    const { runs, tookMs } = await insert(3);
    assert.deepEqual([runs, await rows(3), proxy.losses - losses], [2, 1, 1]);
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
  });

  test("stays unknown when the server cannot be asked within 10 s of the clock", async () => {
    let asked = 0;
    const away: DatabaseDriver = Object.create(through, {
      acquire: {
        value: (options: Parameters<DatabaseDriver["acquire"]>[0]) =>
          asked++ === 0
            ? through.acquire(options)
            : Promise.reject(error("unavailable", "It is away.", { reason: "DATABASE_UNAVAILABLE" })),
      },
    });
    // Each wait takes no time, and ten seconds go by in twenty of them.
    let skippedMs = 0;
    const clock = {
      ...systemClock,
      now: () => systemClock.now() + skippedMs,
      sleep: async (delayMs: number) => {
        skippedMs += delayMs;
      },
    };
    const blind = createDatabase({ driver: away, schema, statementTimeoutMs: 300, clock });
    proxy.next = "cut answer";
    await assert.rejects(
      blind.transaction((tx) => tx.sql`insert into item values (4)`, { key: "item 4" }),
      (thrown) => isError(thrown, "COMMIT_OUTCOME_UNKNOWN") && thrown.executed === "maybe",
    );
    assert.ok(asked > 10 && skippedMs >= 9_000, `${asked} tries in ${skippedMs} ms`);
  });
});
