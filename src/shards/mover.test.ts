import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import { useTwoShards } from "./fixtures/two-shards.ts";
import { moveCrashPoints } from "./move-crash-points.ts";

const here = useTwoShards();

describe("a move", () => {
  it("takes the rows of its buckets over, exact in every type, and nothing else", async () => {
    for (const key of ["ann", "bob", "cid"]) await here.fill(key);
    const was = await here.everything("main");
    const [done] = await here.mover().move({ buckets: [bucketOf("ann"), bucketOf("bob")], to: "b" });
    assert.equal(done?.state, "DONE", done?.note ?? "");
    assert.equal(done?.rowsCopied, 8);
    assert.ok((done?.pauseMs ?? 0) > 0);
    const [left, right] = [await here.everything("main"), await here.everything("b")];
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
    assert.equal((await here.bank.db.at("ann").sql`select * from entries`).length, 6, "both live there");
    const tables = await here.bank.on("b")
      .sql`select tablename from pg_tables where schemaname = ${here.bank.schema} and starts_with(tablename, 'plinth_move_')`;
    assert.deepEqual(tables, [], "nothing is left over on the target");
  });

  it("keeps an archive on the source until it expires", async () => {
    await here.fill("ann");
    const [done] = await here.mover().move({ buckets: [bucketOf("ann")], to: "b" });
    const archive = () =>
      here.bank.on("main")
        .sql`select tablename from pg_tables where schemaname = ${here.bank.schema} and starts_with(tablename, 'plinth_gone_')`;
    assert.ok((await archive()).some(({ tablename }) => tablename === `plinth_gone_${done?.id}_entries`));
    const rows = await here.bank.on("main").execute(sql`select id from ${sql.id(`plinth_gone_${done?.id}_accounts`)}`);
    assert.deepEqual(rows.rows, [{ id: "ann" }]);
    assert.equal(await here.mover().expire(), 0);
    assert.equal(await here.mover({ archiveMs: 0 }).expire(), 1);
    assert.equal((await archive()).length, 0);
    assert.equal(await here.mover({ archiveMs: 0 }).expire(), 0);
  });

  it("brings along what is written while it copies: inserts, updates, deletes, new keys", async () => {
    await here.fill("ann", 20);
    let n = 0;
    const pending: Promise<unknown>[] = [];
    const busy = here.mover({
      batchRows: 4,
      crashPoint(name) {
        if (name !== "move.copied-some") return;
        const i = n++;
        pending.push(
          here.bank.db.at("ann").transaction(async (tx) => {
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
    const entries = await here.bank.on("b").sql<{
      id: string;
      amount: string;
    }>`select id, amount from entries order by id`;
    assert.equal(entries.filter(({ id }) => id.startsWith("renamed-")).length, n);
    assert.equal(entries.find(({ id }) => id === "e1")?.amount, (1.5 + (n * (n - 1)) / 2).toFixed(2));
    assert.equal(entries.filter(({ id }) => /^e\d/.test(id)).length, 20 - n);
    assert.deepEqual((await here.everything("main")).entries, []);
  });

  it("may go there and back, again and again, and everybody follows", async () => {
    await here.fill("ann");
    const other = here.bank.router();
    for (const to of ["b", "main", "b", "main"]) {
      const [done] = await here.mover().move({ buckets: [bucketOf("ann")], to });
      assert.equal(done?.state, "DONE", done?.note ?? "");
      assert.equal((await other.at("ann").sql`select * from entries where account = 'ann'`).length, 3);
      await other.at("ann").sql`update accounts set version = version + 1 where id = 'ann'`;
    }
    assert.deepEqual(await other.at("ann").sql`select version from accounts where id = 'ann'`, [{ version: 4 }]);
  });

  for (const point of moveCrashPoints) {
    it(`whose mover fails at ${point} comes to an end, by it or by another`, async () => {
      await here.fill("ann");
      const died = here.mover({
        leaseMs: 0,
        batchRows: 2,
        ...(point === "move.aborting" && { fenceAttempts: 1, pauseMsMax: 1, pendingEvents: async () => 1 }),
        crashPoint(name) {
          if (name === point) throw new Error(`assertion failed: ended at ${name}`);
        },
      });
      const outcome = await died.move({ buckets: [bucketOf("ann")], to: "b" }).catch(() => undefined);
      const [done] = outcome ?? (await here.mover().resume());
      assert.match(done?.state ?? "", /^(DONE|ABORTED)$/);
      const home = done?.state === "DONE" ? "b" : "main";
      assert.equal((await here.everything(home)).entries.length, 3);
      assert.equal((await here.everything(home === "b" ? "main" : "b")).entries.length, 0);
      await here.bank.db.at("ann").sql`update accounts set version = version + 1 where id = 'ann'`;
      assert.deepEqual(await here.mover().resume(), []);
    });
  }
});
