import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { error } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, setFence, shardBy } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";
import { moveCrashPoints } from "./move-crash-points.ts";
import { asMover, claimShard } from "./move-work.ts";
import type { MoverOptions } from "./mover.ts";
import { createMover } from "./mover.ts";

const drivers = new Map<string, DatabaseDriver>([
  ["main", embedded()],
  ["b", embedded()],
]);
const main = drivers.get("main") as DatabaseDriver;
let bank: Bank;

before(async () => {
  for (const driver of drivers.values()) await driver.open();
});
after(async () => {
  for (const driver of drivers.values()) await driver.close();
});
beforeEach(async () => {
  await bank?.close();
  bank = await openBank({ directory: main, shards: drivers });
});

const mover = (more: Partial<MoverOptions> = {}) =>
  createMover({ directory: bank.directory, shards: bank.databases, service: "bank", shardBy, ...more });

async function fill(key: string, entries = 3): Promise<void> {
  await bank.db.at(key).transaction(async (tx) => {
    await tx.sql`insert into accounts (id, balance) values (${key}, 10)`;
    for (let i = 0; i < entries; i++)
      await tx.sql`insert into entries values (${key}, ${`e${i}`}, 1.50, ${new Uint8Array([0, 255, 92])},
        '2026-02-03 04:05:06.123456+02', '{1,NULL,3}', '{"b": 1,  "a":"x\\u00e9" , "a": 2}')`;
  });
}

async function everything(shard: string) {
  return {
    accounts: await bank.on(shard).sql`select * from accounts order by id`,
    entries: await bank.on(shard)
      .sql`select *, doc::text as doc_text, at::text as at_text from entries order by account, id`,
  };
}

describe("a move", () => {
  it("takes the rows of its buckets over, exact in every type, and nothing else", async () => {
    for (const key of ["ann", "bob", "cid"]) await fill(key);
    const was = await everything("main");
    const [done] = await mover().move({ buckets: [bucketOf("ann"), bucketOf("bob")], to: "b" });
    assert.equal(done?.state, "DONE", done?.note ?? "");
    assert.equal(done?.rowsCopied, 8);
    assert.ok((done?.pauseMs ?? 0) > 0);
    const [left, right] = [await everything("main"), await everything("b")];
    assert.deepEqual(
      left.accounts.map(({ id }) => id),
      ["cid"],
    );
    assert.deepEqual(
      [...left.accounts, ...right.accounts].sort((a, b) => (a.id < b.id ? -1 : 1)),
      was.accounts,
    );
    assert.deepEqual(
      right.entries,
      was.entries.filter(({ account }) => account !== "cid"),
    );
    assert.equal((await bank.db.at("ann").sql`select * from entries`).length, 6, "both live there");
    const tables = await bank.on("b")
      .sql`select tablename from pg_tables where schemaname = ${bank.schema} and starts_with(tablename, 'plinth_move_')`;
    assert.deepEqual(tables, [], "nothing is left over on the target");
  });

  it("keeps an archive on the source until it expires", async () => {
    await fill("ann");
    const [done] = await mover().move({ buckets: [bucketOf("ann")], to: "b" });
    const archive = () =>
      bank.on("main")
        .sql`select tablename from pg_tables where schemaname = ${bank.schema} and starts_with(tablename, 'plinth_gone_')`;
    assert.ok((await archive()).some(({ tablename }) => tablename === `plinth_gone_${done?.id}_entries`));
    const rows = await bank.on("main").execute(sql`select id from ${sql.id(`plinth_gone_${done?.id}_accounts`)}`);
    assert.deepEqual(rows.rows, [{ id: "ann" }]);
    assert.equal(await mover().expire(), 0);
    assert.equal(await mover({ archiveMs: 0 }).expire(), 1);
    assert.equal((await archive()).length, 0);
    assert.equal(await mover({ archiveMs: 0 }).expire(), 0);
  });

  it("brings along what is written while it copies: inserts, updates, deletes, new keys", async () => {
    await fill("ann", 20);
    let n = 0;
    const pending: Promise<unknown>[] = [];
    const busy = mover({
      batchRows: 4,
      crashPoint(name) {
        if (name !== "move.copied-some") return;
        const i = n++;
        pending.push(
          bank.db.at("ann").transaction(async (tx) => {
            await tx.sql`update entries set amount = amount + ${i} where id = 'e1'`;
            await tx.sql`delete from entries where id = ${`e${19 - i}`}`;
            await tx.sql`insert into entries (account, id, amount) values ('ann', ${`new-${i}`}, ${i})`;
            await tx.sql`update entries set id = ${`renamed-${i}`} where id = ${`new-${i}`}`;
          }),
        );
      },
    });
    const [done] = await busy.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(done?.state, "DONE", done?.note ?? "");
    await Promise.all(pending);
    assert.ok(n >= 5, String(n));
    const entries = await bank.on("b").sql<{ id: string; amount: string }>`select id, amount from entries order by id`;
    assert.equal(entries.filter(({ id }) => id.startsWith("renamed-")).length, n);
    assert.equal(entries.find(({ id }) => id === "e1")?.amount, (1.5 + (n * (n - 1)) / 2).toFixed(2));
    assert.equal(entries.filter(({ id }) => /^e\d/.test(id)).length, 20 - n);
    assert.deepEqual((await everything("main")).entries, []);
  });

  it("may go there and back, again and again, and everybody follows", async () => {
    await fill("ann");
    const other = bank.router();
    for (const to of ["b", "main", "b", "main"]) {
      const [done] = await mover().move({ buckets: [bucketOf("ann")], to });
      assert.equal(done?.state, "DONE", done?.note ?? "");
      assert.equal((await other.at("ann").sql`select * from entries where account = 'ann'`).length, 3);
      await other.at("ann").sql`update accounts set version = version + 1 where id = 'ann'`;
    }
    assert.deepEqual(await other.at("ann").sql`select version from accounts where id = 'ann'`, [{ version: 4 }]);
  });

  for (const point of moveCrashPoints) {
    it(`whose mover fails at ${point} comes to an end, by it or by another`, async () => {
      await fill("ann");
      const died = mover({
        leaseMs: 0,
        batchRows: 2,
        ...(point === "move.aborting" && { fenceAttempts: 1, pauseMsMax: 1, pendingEvents: async () => 1 }),
        crashPoint(name) {
          if (name === point) throw new Error(`assertion failed: ended at ${name}`);
        },
      });
      const outcome = await died.move({ buckets: [bucketOf("ann")], to: "b" }).catch(() => undefined);
      const [done] = outcome ?? (await mover().resume());
      assert.match(done?.state ?? "", /^(DONE|ABORTED)$/);
      const home = done?.state === "DONE" ? "b" : "main";
      assert.equal((await everything(home)).entries.length, 3);
      assert.equal((await everything(home === "b" ? "main" : "b")).entries.length, 0);
      await bank.db.at("ann").sql`update accounts set version = version + 1 where id = 'ann'`;
      assert.deepEqual(await mover().resume(), []);
    });
  }
});

describe("a move is given up", () => {
  it("when events of its buckets do not leave the source, and the source is open again", async () => {
    await fill("ann");
    const stuck = mover({ fenceAttempts: 2, pauseMsMax: 50, pendingEvents: async () => 3 });
    const [move] = await stuck.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /3 events of the outbox were not published within 50 ms: is a relay running\?/);
    await bank.db.at("ann").sql`update accounts set version = 1 where id = 'ann'`;
    assert.deepEqual(await bank.on("main").sql`select count(*) as n from plinth_changes`, [{ n: 0 }]);
    const [again] = await mover().move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(again?.state, "DONE");
  });

  it("when the copy differs from the source: the check before the switch is not for show", async () => {
    await fill("ann");
    const spoiled = mover({
      crashPoint(name) {
        if (name === "move.caught-up") spoil = bank.on("b").sql`select 1`;
      },
      pendingEvents: async () => {
        const [move] = await spoiled.store.unfinished();
        await bank.on("b").execute(sql`update ${sql.id(`plinth_move_${move?.id}_accounts`)} set balance = balance + 1`);
        return 0;
      },
    });
    let spoil: unknown;
    const [move] = await spoiled.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.ok(spoil);
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /table accounts: 1 rows on main, 1 copied, checksums differ/);
    assert.equal((await everything("main")).accounts.length, 1);
  });

  it("when rows of the bucket lie on the target already", async () => {
    await fill("ann");
    await bank.on("b").transaction(async (tx) => {
      await tx.sql`select set_config('plinth.key', '*', true)`;
      await tx.sql`insert into accounts (id) values ('ann')`;
    });
    const [move] = await mover().move({ buckets: [bucketOf("ann")], to: "b" });
    assert.match(move?.note ?? "", /table accounts: 1 rows of these buckets or keys are on b/);
  });

  it("when a person says so, in whatever state before the switch", async () => {
    await fill("ann");
    const slow = mover({
      crashPoint(name) {
        if (name === "move.copied") throw new Error("gone");
      },
      leaseMs: 60_000,
    });
    await slow.move({ buckets: [bucketOf("ann")], to: "b" });
    const planned = await mover().store.plan([bucketOf("bob")], "b", 16);
    const [move] = planned;
    const given = await mover().abort(move?.id ?? 0, "changed our mind");
    assert.deepEqual([given?.state, given?.note], ["ABORTED", "changed our mind"]);
    assert.equal(await mover().abort(move?.id ?? 0, "again"), undefined);
  });

  it("when a newer version of the service has sharded a table that this mover does not know of", async () => {
    await fill("ann");
    const { entries: _, ...older } = shardBy;
    const [move] = await mover({ shardBy: older }).move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /table entries refers to accounts|entries.* are guarded and accounts/);
    await bank.on("main").session((session) => session.script("drop trigger plinth_guard on entries"));
    const [other] = await mover().move({ buckets: [bucketOf("ann")], to: "b" });
    assert.match(other?.note ?? "", /are guarded and accounts, entries, .* would move: migrate/);
  });

  it("when a table got another shape on one side", async () => {
    await fill("ann");
    const changing = mover({
      crashPoint(name) {
        if (name === "move.copied") altered = bank.on("b").sql`alter table accounts add column extra text`;
      },
    });
    let altered: Promise<unknown> | undefined;
    const [move] = await changing.move({ buckets: [bucketOf("ann")], to: "b" });
    await altered;
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /differ, or changed during the move/);
  });
});

describe("a mover", () => {
  it("refuses buckets that are on the way, numbers that are none, and shards that are not there", async () => {
    await mover().store.plan([5], "b", 16);
    await assert.rejects(mover().move({ buckets: [5], to: "b" }), { reason: "SHARD_MOVE_BUSY" });
    await assert.rejects(mover().move({ buckets: [1024], to: "b" }), /1024: buckets are numbers from 0 to 1023/);
    await assert.rejects(mover().move({ buckets: [], to: "b" }), { reason: "SHARD_BUCKETS" });
    await assert.rejects(mover().move({ buckets: [6], to: "c" }), /bank has no shard c/);
  });

  it("leaves a move alone that another has the lease of, and is refused by the shards once it lost its own", async () => {
    const [plan] = await mover().store.plan([5], "b", 16);
    const { store } = mover();
    const first = await store.take(plan?.id ?? 0, "first");
    assert.ok(first);
    assert.equal(await store.take(first.id, "second"), undefined);
    assert.deepEqual(await mover().resume(), []);
    const impatient = mover({ leaseMs: 0 }).store;
    await impatient.renew(first);
    const second = await store.take(first.id, "second");
    assert.equal(second?.epoch, first.epoch + 1);
    await assert.rejects(store.advance(first, "COPY"), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await assert.rejects(store.renew(first), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await claimShard(bank.on("main"), second as never);
    await assert.rejects(claimShard(bank.on("main"), first), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await assert.rejects(
      asMover(bank.on("main"), first, async () => {}),
      { reason: "SHARD_MOVE_TAKEN_OVER" },
    );
  });

  it("that is cut off from the source while that is fenced opens it as soon as it can, and comes again", async () => {
    await fill("ann");
    let cutUntil = 0;
    const source: DatabaseDriver = {
      name: main.name,
      flags: main.flags,
      stats: main.stats,
      open: () => main.open(),
      close: () => main.close(),
      acquire: (options) =>
        performance.now() < cutUntil
          ? Promise.reject(error("unavailable", "cut off", { executed: "no" }))
          : main.acquire(options),
    };
    const states: string[] = [];
    let cuts = 0;
    const cut = mover({
      shards: new Map([...bank.databases, ["main", createDatabase({ driver: source, schema: bank.schema })]]),
      crashPoint(name) {
        if (name === "move.fenced" && cuts++ === 0) cutUntil = performance.now() + 150;
      },
      onProgress: ({ state }) => void states.push(state),
    });
    const [move] = await cut.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(move?.state, "DONE", move?.note ?? "");
    assert.deepEqual(states, ["COPY", "CATCHUP", "FENCE", "CATCHUP", "FENCE", "CLEAN", "DONE"]);
  });

  it("holds back when it has copied its rows of a second", async () => {
    await fill("ann", 40);
    const startedAt = performance.now();
    await mover({ batchRows: 10, rowsPerSecondMax: 100 }).move({ buckets: [bucketOf("ann")], to: "b" });
    assert.ok(performance.now() - startedAt > 300);
  });

  it("does not begin when the source does not have the bucket open", async () => {
    await setFence(bank.on("main"), 7, "away", 1);
    const [move] = await mover().move({ buckets: [7], to: "b" });
    assert.deepEqual([move?.state, move?.note], ["ABORTED", "bucket 7 is away on main"]);
  });
});
