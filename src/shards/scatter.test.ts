import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { error } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, setFence, shardBy } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";
import { createMover } from "./mover.ts";
import type { ScatterOptions } from "./scatter.ts";

const main = embedded();
let broken: Error | undefined;
const other = embedded();
/** Fails on demand. */
const b: DatabaseDriver = {
  name: other.name,
  flags: other.flags,
  stats: other.stats,
  open: () => other.open(),
  close: () => other.close(),
  acquire: (options) => (broken ? Promise.reject(broken) : other.acquire(options)),
};
let bank: Bank;
const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);

before(async () => {
  await Promise.all([main.open(), b.open()]);
  bank = await openBank({
    directory: main,
    shards: new Map([
      ["main", main],
      ["b", b],
    ]),
    spread: true,
  });
  for (const [i, key] of keys.entries()) {
    await bank.db.at(key).transaction(async (tx) => {
      await tx.sql`insert into accounts (id, balance) values (${key}, ${i % 7})`;
      await tx.sql`insert into entries (account, id, amount, at) values (${key}, 'e', ${`${i}.50`}, ${`2026-01-01T00:00:00.0000${10 + i}Z`})`;
    });
  }
});
after(async () => {
  await Promise.all([main.close(), b.close()]);
});

async function pages(fragment: Parameters<Bank["db"]["scatter"]>[0], options: ScatterOptions): Promise<unknown[][]> {
  const all: unknown[][] = [];
  let after: string | undefined;
  do {
    const page = await bank.db.scatter(fragment, { ...options, after });
    all.push([...page.rows]);
    after = page.next;
  } while (after);
  return all;
}

describe("scatter", () => {
  it("asks every shard once, and gives their answers side by side", async () => {
    const { rows, partial } = await bank.db.scatter<{ n: number }>(sql`select count(*) as n from accounts`);
    assert.equal(rows.length, 2);
    assert.equal(
      rows.reduce((sum, { n }) => sum + n, 0),
      30,
    );
    assert.deepEqual(partial, []);
  });

  it("merges pages by their keys, in both directions, without loss or repetition", async () => {
    const byBalance = await pages(sql`select id, balance from accounts`, {
      orderBy: [
        { column: "balance", type: "number", direction: "desc" },
        { column: "id", type: "text" },
      ],
      limit: 7,
    });
    assert.deepEqual(
      byBalance.map((page) => page.length),
      [7, 7, 7, 7, 2],
    );
    const expected = keys.map((id, i) => ({ id, balance: i % 7 }));
    expected.sort((x, y) => y.balance - x.balance || (x.id < y.id ? -1 : 1));
    assert.deepEqual(byBalance.flat(), expected);
    const byTime = await pages(sql`select account, amount from entries where amount > ${"2.5"}`, {
      orderBy: [{ column: "at", type: "time" }],
      limit: 10,
    }).catch((thrown) => thrown);
    assert.equal(byTime.reason, "SQL_INVALID", "an order needs its column among the rows");
    const timed = await pages(sql`select account, at from entries`, {
      orderBy: [{ column: "at", type: "time" }],
      limit: 11,
    });
    assert.deepEqual(
      timed.flat().map((row) => (row as { account: string }).account),
      keys,
    );
  });

  it("compares numbers as PostgreSQL does, however long", async () => {
    const { rows } = await bank.db.scatter(
      sql`select account, case when account = 'k1' then 12345678901234567890.5 else amount end as v from entries`,
      { orderBy: [{ column: "v", type: "number", direction: "desc" }], limit: 2 },
    );
    assert.deepEqual(rows, [
      { account: "k1", v: "12345678901234567890.5" },
      { account: "k29", v: "29.50" },
    ]);
  });

  it("refuses what it could not page through", async () => {
    const by = (column: string, type: "text" | "number") => ({ orderBy: [{ column, type }] });
    await assert.rejects(
      bank.db.scatter(sql`select balance from accounts`, by("balance", "number")),
      /Two rows have the keys/,
    );
    await assert.rejects(bank.db.scatter(sql`select null::text as n`, by("n", "text")), /The key n of a row is NULL/);
    await assert.rejects(
      bank.db.scatter(sql`select 'NaN'::numeric as n`, by("n", "number")),
      /NaN, which has no place/,
    );
    await assert.rejects(bank.db.scatter(sql`select 1`, { limit: 0 }), /takes 1 to 10000 rows, not 0/);
    await assert.rejects(bank.db.scatter(sql`select 1`, { after: "x" }), /say orderBy/);
    await assert.rejects(bank.db.scatter(sql`select 1`, { orderBy: [] }), /1 to 8 keys/);
    await assert.rejects(
      bank.db.scatter(sql`select id from accounts`, { ...by("id", "text"), after: "bm8" }),
      /no place to go on from/,
    );
    await assert.rejects(bank.db.scatter(sql`select id from accounts`, { limit: 5 }), {
      reason: "SCATTER_TOO_MANY_ROWS",
    });
  });

  it("fails when a shard does, or says which one is missing when that is allowed", async () => {
    broken = error("unavailable", "gone");
    try {
      await assert.rejects(bank.db.scatter(sql`select id from accounts`), { reason: "SCATTER_INCOMPLETE" });
      const some = await bank.db.scatter(sql`select id from accounts`, { partial: "allow" });
      assert.deepEqual(some.partial, ["b"]);
      assert.ok(some.rows.length > 0 && some.rows.length < 30);
    } finally {
      broken = undefined;
    }
  });

  it("is whole only when each bucket was answered for by exactly one shard", async () => {
    await setFence(bank.on("b"), 5, "open", 9);
    await assert.rejects(bank.db.scatter(sql`select 1 as one`), { reason: "SCATTER_INCOMPLETE" });
    await setFence(bank.on("b"), 5, "away", 0);
    const mover = createMover({ directory: bank.directory, shards: bank.databases, service: "bank", shardBy });
    let moved = false;
    const moving = mover.move({ buckets: [...new Set(keys.slice(0, 8).map(bucketOf))], to: "b" }).then((moves) => {
      moved = true;
      return moves;
    });
    do {
      const { rows } = await bank.db.scatter(sql`select id from accounts`);
      assert.equal(new Set(rows.map(({ id }) => id)).size, 30);
      assert.equal(rows.length, 30);
    } while (!moved);
    for (const move of await moving) assert.equal(move.state, "DONE", move.note ?? "");
  });
});
