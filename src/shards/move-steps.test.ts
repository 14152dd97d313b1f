import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { error } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import { setFence, shardBy } from "./fixtures/bank.ts";
import { useTwoShards } from "./fixtures/two-shards.ts";
import { asMover, claimShard } from "./move-work.ts";

const here = useTwoShards();

describe("a move is given up", () => {
  it("when events of its buckets do not leave the source, and the source is open again", async () => {
    await here.fill("ann");
    const stuck = here.mover({ fenceAttempts: 2, pauseMsMax: 50, pendingEvents: async () => 3 });
    const [move] = await stuck.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(move?.state, "ABORTED");
    assert.match(
      move?.note ?? "",
      /3 events of the outbox were not published \(is a relay running\?\) for more than 50 ms/,
    );
    await here.bank.db.at("ann").sql`update accounts set version = 1 where id = 'ann'`;
    assert.deepEqual(await here.bank.on("main").sql`select count(*) as n from plinth_changes`, [{ n: 0 }]);
    const [again] = await here.mover().move({ buckets: [bucketOf("ann")], to: "b" });
    assert.equal(again?.state, "DONE");
  });

  it("when the copy differs from the source: the check before the switch is not for show", async () => {
    await here.fill("ann");
    const spoiled = here.mover({
      crashPoint(name) {
        if (name === "move.caught-up") spoil = here.bank.on("b").sql`select 1`;
      },
      pendingEvents: async () => {
        const [move] = await spoiled.store.unfinished();
        await here.bank
          .on("b")
          .execute(sql`update ${sql.id(`plinth_move_${move?.id}_accounts`)} set balance = balance + 1`);
        return 0;
      },
    });
    let spoil: unknown;
    const [move] = await spoiled.move({ buckets: [bucketOf("ann")], to: "b" });
    assert.ok(spoil);
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /table accounts: 1 rows on main, 1 copied, checksums differ/);
    assert.equal((await here.everything("main")).accounts.length, 1);
  });

  it("when rows of the bucket lie on the target already", async () => {
    await here.fill("ann");
    let other = "ann0";
    for (let i = 1; bucketOf(other) !== bucketOf("ann"); i++) other = `ann${i}`;
    await here.bank.on("b").transaction(async (tx) => {
      await tx.sql`select set_config('plinth.key', '*', true)`;
      await tx.sql`insert into accounts (id) values (${other})`;
    });
    const [move] = await here.mover().move({ buckets: [bucketOf("ann")], to: "b" });
    assert.match(move?.note ?? "", /table accounts: 1 rows of these buckets or keys are on b/);
  });

  it("when a person says so, in whatever state before the switch", async () => {
    await here.fill("ann");
    const slow = here.mover({
      crashPoint(name) {
        if (name === "move.copied") throw new Error("gone");
      },
      leaseMs: 60_000,
    });
    await slow.move({ buckets: [bucketOf("ann")], to: "b" });
    const planned = await here.mover().store.plan([bucketOf("bob")], "b", 16);
    const [move] = planned;
    const given = await here.mover().abort(move?.id ?? 0, "changed our mind");
    assert.deepEqual([given?.state, given?.note], ["ABORTED", "changed our mind"]);
    assert.equal(await here.mover().abort(move?.id ?? 0, "again"), undefined);
  });

  it("when a newer version of the service has sharded a table that this mover does not know of", async () => {
    await here.fill("ann");
    const { entries: _, ...older } = shardBy;
    const refused = here.mover({ shardBy: older }).move({ buckets: [bucketOf("ann")], to: "b" });
    await assert.rejects(refused, /table entries refers to accounts|entries.* are guarded and accounts/);
    assert.deepEqual(await here.mover().store.latest(5), [], "nothing was written down");
    await here.bank.on("main").session((session) => session.script("drop trigger plinth_guard on entries"));
    const again = here.mover().move({ buckets: [bucketOf("ann")], to: "b" });
    await assert.rejects(again, /are guarded and accounts, entries, .* would move: migrate/);
  });

  it("when a table got another shape on one side", async () => {
    await here.fill("ann");
    const changing = here.mover({
      crashPoint(name) {
        if (name === "move.copied") altered = here.bank.on("b").sql`alter table accounts add column extra text`;
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
    await here.mover().store.plan([5], "b", 16);
    await assert.rejects(here.mover().move({ buckets: [5], to: "b" }), { reason: "SHARD_MOVE_BUSY" });
    await assert.rejects(here.mover().move({ buckets: [1024], to: "b" }), /1024: buckets are numbers from 0 to 1023/);
    await assert.rejects(here.mover().move({ buckets: [], to: "b" }), { reason: "SHARD_BUCKETS" });
    await assert.rejects(here.mover().move({ buckets: [6], to: "c" }), /there is no address for shard c/);
  });

  it("leaves a move alone that another has the lease of, and is refused by the shards once it lost its own", async () => {
    const [plan] = await here.mover().store.plan([5], "b", 16);
    const { store } = here.mover();
    const first = await store.take(plan?.id ?? 0, "first");
    assert.ok(first);
    assert.equal(await store.take(first.id, "second"), undefined);
    assert.deepEqual(await here.mover().resume(), []);
    const impatient = here.mover({ leaseMs: 0 }).store;
    await impatient.renew(first);
    const second = await store.take(first.id, "second");
    assert.equal(second?.epoch, first.epoch + 1);
    await assert.rejects(store.advance(first, "COPY"), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await assert.rejects(store.renew(first), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await claimShard(here.bank.on("main"), second as never);
    await assert.rejects(claimShard(here.bank.on("main"), first), { reason: "SHARD_MOVE_TAKEN_OVER" });
    await assert.rejects(
      asMover(here.bank.on("main"), first, async () => {}),
      { reason: "SHARD_MOVE_TAKEN_OVER" },
    );
  });

  it("that is cut off from the source while that is fenced opens it as soon as it can, and comes again", async () => {
    await here.fill("ann");
    let cutUntil = 0;
    const source: DatabaseDriver = {
      name: here.main.name,
      flags: here.main.flags,
      stats: here.main.stats,
      open: () => here.main.open(),
      close: () => here.main.close(),
      acquire: (options) =>
        performance.now() < cutUntil
          ? Promise.reject(error("unavailable", "cut off", { executed: "no" }))
          : here.main.acquire(options),
    };
    const states: string[] = [];
    let cuts = 0;
    const cut = here.mover({
      shards: new Map([...here.bank.databases, ["main", createDatabase({ driver: source, schema: here.bank.schema })]]),
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
    await here.fill("ann", 40);
    const startedAt = performance.now();
    await here.mover({ batchRows: 10, rowsPerSecondMax: 100 }).move({ buckets: [bucketOf("ann")], to: "b" });
    assert.ok(performance.now() - startedAt > 300);
  });

  it("does not begin when the source does not have the bucket open", async () => {
    await setFence(here.bank.on("main"), 7, "away", 1);
    const [move] = await here.mover().move({ buckets: [7], to: "b" });
    assert.deepEqual([move?.state, move?.note], ["ABORTED", "bucket 7 is away on main"]);
  });
});
