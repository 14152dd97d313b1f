import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bucketOf } from "./bucket.ts";
import { useTwoShards } from "./fixtures/two-shards.ts";

const here = useTwoShards();
const ann = [bucketOf("ann")];

/** On both shards. */
async function alter(script: string): Promise<void> {
  for (const shard of ["main", "b"]) await here.bank.on(shard).session((session) => session.script(script));
}

/** A check whose text is the same on both shards, and which refuses on one of them. */
async function addFickleCheck(): Promise<void> {
  const fine = "create function is_fine(bigint) returns boolean language sql stable as 'select true'";
  await alter(`${fine}; alter table accounts add constraint fine check (is_fine(balance))`);
}

const refuse = () =>
  here.bank
    .on("b")
    .session((session) =>
      session.script(
        "create or replace function is_fine(bigint) returns boolean language sql stable as 'select false'",
      ),
    );

describe("a target that would refuse rows", () => {
  it("is found out before a move is written down, when a constraint does not hold for all rows", async () => {
    await here.fill("ann");
    await alter("alter table accounts add constraint small check (balance < 5) not valid");
    await assert.rejects(here.mover().move({ buckets: ann, to: "b" }), {
      reason: "SHARD_CONSTRAINT_UNVALIDATED",
      message: /small is not valid for all rows.*alter table accounts validate constraint small/s,
    });
    assert.deepEqual(await here.mover().store.latest(5), []);
  });

  it("is found out before a move is written down, when it has other constraints or unique indexes", async () => {
    await here.fill("ann");
    for (const script of [
      "alter table accounts add constraint small check (balance < 50)",
      "create unique index one_of on entries (account, amount)",
    ]) {
      await here.bank.on("b").session((session) => session.script(script));
      await assert.rejects(here.mover().move({ buckets: ann, to: "b" }), { reason: "SHARD_SHAPE" });
      await here.bank
        .on("b")
        .session((session) =>
          session.script("alter table accounts drop constraint small; drop index if exists one_of"),
        );
      await here.bank
        .on("b")
        .session((session) => session.script("alter table accounts add constraint small check (true)"));
      await here.bank
        .on("main")
        .session((session) =>
          session.script(
            "alter table accounts drop constraint if exists small; alter table accounts add constraint small check (true)",
          ),
        );
    }
    const [done] = await here.mover().move({ buckets: ann, to: "b" });
    assert.equal(done?.state, "DONE", done?.note ?? "");
  });

  it("is found out before writers wait, whatever it refuses for", async () => {
    await here.fill("ann");
    await addFickleCheck();
    await refuse();
    const states: string[] = [];
    const mover = here.mover({ onProgress: ({ state }) => void states.push(state) });
    const [move] = await mover.move({ buckets: ann, to: "b" });
    assert.match(move?.note ?? "", /b would refuse rows: .*violates check constraint "fine"/);
    assert.deepEqual(states, ["COPY", "CATCHUP", "ABORT", "ABORTED"]);
  });
});

describe("a move in SWITCH", () => {
  it("goes back when the target refuses: the source has its rows and is open, for routers that were sent after them too", async () => {
    await here.fill("ann");
    await addFickleCheck();
    const was = await here.everything("main");
    const sent = here.bank.router();
    const mover = here.mover({
      pendingEvents: async () => {
        await refuse();
        return 0;
      },
      crashPoint(name) {
        if (name === "move.source-left") read = sent.at("ann").sql`select id from accounts where id = 'ann'`;
      },
    });
    let read: Promise<unknown> | undefined;
    const [move] = await mover.move({ buckets: ann, to: "b" });
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /violates check constraint "fine"/);
    assert.deepEqual(await here.everything("main"), was);
    assert.deepEqual((await here.everything("b")).accounts, []);
    assert.deepEqual(await read, [{ id: "ann" }]);
    await sent.at("ann").sql`update accounts set version = 1 where id = 'ann'`;
    await here.bank.db.at("ann").sql`update accounts set version = 2 where id = 'ann'`;
    const fences = await here.bank.on("b").sql`select state, move from plinth_fence where bucket = ${ann[0]}`;
    assert.deepEqual(fences, [{ state: "away", move: null }]);
  });

  it("is ended by the next mover when its own dies between the two, and goes back when a person says so", async () => {
    for (const hand of ["resume", "abort"] as const) {
      await here.fill(hand);
      const died = here.mover({
        crashPoint(name) {
          if (name === "move.source-left") throw new Error("died");
        },
      });
      await assert.rejects(died.move({ buckets: [bucketOf(hand)], to: "b" }), /died/);
      const [left] = await here.mover().store.unfinished();
      assert.equal(left?.state, "SWITCH");
      const ended = hand === "abort" ? await here.mover().abort(left?.id ?? 0, "no") : (await here.mover().resume())[0];
      assert.equal(ended?.state, hand === "abort" ? "ABORTED" : "DONE");
      await here.bank.db.at(hand).sql`update accounts set version = 1 where id = ${hand}`;
    }
  });

  it("is too late to be given up once the target is open", async () => {
    await here.fill("ann");
    const died = here.mover({
      crashPoint(name) {
        if (name === "move.target-open") throw new Error("died");
      },
    });
    await assert.rejects(died.move({ buckets: ann, to: "b" }), /died/);
    const [left] = await here.mover().store.unfinished();
    const ended = await here.mover().abort(left?.id ?? 0, "no");
    assert.equal(ended?.state, "DONE");
    assert.match(ended?.note ?? "", /too late to be given up: b had taken over/);
    assert.equal((await here.everything("b")).accounts.length, 1);
  });
});
