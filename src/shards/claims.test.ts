import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { bucketOf } from "./bucket.ts";
import { sweepClaims } from "./claim-settlement.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, setFence, shardBy } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";
import { createMover } from "./mover.ts";

const drivers = { main: embedded(), b: embedded() };
let bank: Bank;
before(async () => {
  for (const driver of Object.values(drivers)) await driver.open();
  bank = await openBank({ directory: drivers.main, shards: new Map(Object.entries(drivers)), spread: true });
});
after(async () => {
  for (const driver of Object.values(drivers)) await driver.close();
});

async function take(value: string, key: string): Promise<void> {
  const claim = await bank.db.directory.claim("email", value, key);
  await bank.db.at(key).transaction((tx) => claim.confirm(tx));
}

/** As if a minute had passed since the reservation. */
async function runOut(value: string): Promise<void> {
  await bank.directory.sql`update claims set expires_at = clock_timestamp() - interval '1 s' where value = ${value}`;
}

describe("a claim", () => {
  it("gives a value to one key over all shards, and is no error when repeated", async () => {
    await take("a@x", "ann");
    await take("a@x", "ann");
    await assert.rejects(take("a@x", "bob"), { reason: "CLAIM_TAKEN", code: "already_exists" });
    assert.equal(await bank.db.directory.lookup("email", "a@x"), "ann");
    assert.equal(await bank.db.directory.lookup("slug", "a@x"), undefined);
  });

  it("holds others off while it is pending, and nobody has it yet", async () => {
    await bank.db.directory.claim("email", "p@x", "ann");
    await assert.rejects(take("p@x", "bob"), { reason: "CLAIM_PENDING" });
    assert.equal(await bank.db.directory.lookup("email", "p@x"), undefined);
    await take("p@x", "ann");
    assert.equal(await bank.db.directory.lookup("email", "p@x"), "ann");
  });

  it("whose process died before it was confirmed is free once it ran out, and a late confirm fails", async () => {
    const late = await bank.db.directory.claim("email", "l@x", "ann");
    await runOut("l@x");
    await take("l@x", "bob");
    await assert.rejects(
      bank.db.at("ann").transaction((tx) => late.confirm(tx)),
      { reason: "CLAIM_LOST" },
    );
    assert.equal(await bank.db.directory.lookup("email", "l@x"), "bob");
  });

  it("whose process died after it was confirmed is taken, although the directory never heard", async () => {
    await take("c@x", "ann");
    await bank.directory.sql`update claims set state = 'pending' where value = 'c@x'`;
    await runOut("c@x");
    await assert.rejects(take("c@x", "bob"), { reason: "CLAIM_TAKEN" });
    await take("c@x", "ann");
    assert.equal(await bank.db.directory.lookup("email", "c@x"), "ann");
  });

  it("is not kept when its transaction is rolled back", async () => {
    const claim = await bank.db.directory.claim("email", "r@x", "ann");
    const failed = bank.db.at("ann").transaction(async (tx) => {
      await claim.confirm(tx);
      throw new Error("no");
    });
    await assert.rejects(failed, /no/);
    await runOut("r@x");
    await take("r@x", "bob");
  });

  it("is free for others once it is released, also when the directory did not hear of that", async () => {
    await take("f@x", "ann");
    await bank.db.at("bob").transaction((tx) => bank.db.directory.release(tx, "email", "f@x"));
    assert.equal(await bank.db.directory.lookup("email", "f@x"), "ann", "nobody gives up what is another's");
    await bank.db.at("ann").transaction((tx) => bank.db.directory.release(tx, "email", "f@x"));
    assert.equal(await bank.db.directory.lookup("email", "f@x"), undefined);
    await take("f@x", "bob");
    await bank.db.at("bob").sql`update plinth_claims set state = 'void' where value = 'f@x'`;
    await take("f@x", "cid");
    assert.equal(await bank.db.directory.lookup("email", "f@x"), "cid");
  });

  it("is its own key's again when the directory did not hear of the release", async () => {
    for (const state of ["confirmed", "pending"]) {
      await take("g@x", "ann");
      await bank.db.at("ann").sql`update plinth_claims set state = 'void' where value = 'g@x'`;
      await bank.directory.sql`update claims set state = ${state} where value = 'g@x'`;
      await take("g@x", "ann");
      assert.equal(await bank.db.directory.lookup("email", "g@x"), "ann", state);
    }
  });

  it("leaves nothing behind that is not swept: reservations after an hour, void rows after 7 days", async () => {
    const sweep = () => sweepClaims({ directory: bank.directory, shards: bank.databases, service: "bank" });
    await bank.db.directory.claim("email", "s1@x", "ann");
    await take("s2@x", "bob");
    await bank.directory.sql`
      update claims set state = 'pending', expires_at = clock_timestamp() - interval '2 hours' where value in ('s1@x', 's2@x')`;
    const [home] = await bank.directory.sql`select shard from buckets where bucket = ${bucketOf("ann")}`;
    const { epoch } =
      (await bank.on(home?.shard).sql`select epoch from plinth_fence where bucket = ${bucketOf("ann")}`)[0] ?? {};
    await setFence(bank.on(home?.shard), bucketOf("ann"), "fenced", epoch);
    assert.equal(await sweep(), 1, "what is on the way waits");
    await setFence(bank.on(home?.shard), bucketOf("ann"), "open", epoch);
    assert.equal(await sweep(), 1);
    assert.deepEqual(await bank.directory.sql`select state from claims where value = 's1@x'`, []);
    assert.deepEqual(await bank.directory.sql`select state from claims where value = 's2@x'`, [{ state: "confirmed" }]);
    await bank.on(home?.shard).sql`update plinth_claims set at = at - interval '8 days' where value = 's1@x'`;
    assert.equal(await sweep(), 1);
    assert.equal(await sweep(), 0);
  });

  it("moves with its key", async () => {
    await take("m@x", "ann");
    const mover = createMover({ directory: bank.directory, shards: bank.databases, service: "bank", shardBy });
    for (const to of ["main", "b"]) await mover.move({ buckets: [bucketOf("ann")], to });
    assert.equal(await bank.db.directory.lookup("email", "m@x"), "ann");
    await assert.rejects(take("m@x", "bob"), { reason: "CLAIM_TAKEN" });
  });

  it("is one key's alone when many ask at once", async () => {
    const outcomes = await Promise.allSettled(["k1", "k2", "k3", "k4", "k5"].map((key) => take("race@x", key)));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("has a text of 1 to 1,024 characters", async () => {
    await assert.rejects(bank.db.directory.claim("email", "", "ann"), { reason: "CLAIM_INVALID" });
    await assert.rejects(bank.db.directory.claim("email", "x".repeat(1025), "ann"), { reason: "CLAIM_INVALID" });
  });
});
