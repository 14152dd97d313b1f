import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, systemClock } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createBucketLease } from "./bucket-lease.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage, Sold } from "./fixtures/stage.ts";
import { createMemoryBroker } from "./memory.ts";
import { processId } from "./process-id.ts";
import { createPublisher } from "./publisher.ts";
import { createRelay } from "./relay.ts";
import { createGate, mail, record, until } from "./suite-probe.ts";

describe("buckets of keys", () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());

  const leaseOf = (database: Database, name: string, leaseMs = 15_000, clock = createManualClock()) => ({
    clock,
    lease: createBucketLease({ database, clock, owner: `${processId}/${name}`, leaseMs }),
  });
  const counts = (database: Database) =>
    database.sql<{ owner: string | null; count: number }>`
      select split_part(owner, '/', 2) as owner, count(*)::int as count from plinth_relay_buckets group by 1 order by 1`;

  it("are all of the one who is alone, and shared evenly when others come", async () => {
    const database = await stage.service();
    const [a, b, c] = [leaseOf(database, "a"), leaseOf(database, "b"), leaseOf(database, "c")];
    await a.lease.beat();
    assert.equal(a.lease.bucketCount, 64);
    await b.lease.beat();
    assert.equal(b.lease.isHeld(), false, "nothing is free yet");
    await a.lease.beat();
    await b.lease.beat();
    assert.deepEqual([a.lease.bucketCount, b.lease.bucketCount], [32, 32]);
    for (const each of [c, a, b, c]) await each.lease.beat();
    assert.deepEqual(
      (await counts(database)).map(({ count }) => count),
      [22, 22, 20],
    );
    await a.lease.release();
    assert.equal(a.lease.isHeld(), false);
    for (const each of [b, c]) await each.lease.beat();
    assert.deepEqual([b.lease.bucketCount, c.lease.bucketCount], [32, 32]);
  });

  it("keep their epoch while they are renewed, and get a higher one with each holder", async () => {
    const database = await stage.service();
    const epochs = async () =>
      (await database.sql<{ epoch: number }>`select distinct epoch::int as epoch from plinth_relay_buckets`).map(
        ({ epoch }) => epoch,
      );
    const [a, b] = [leaseOf(database, "a"), leaseOf(database, "b")];
    await a.lease.beat();
    const [first = 0] = await epochs();
    await a.lease.beat();
    assert.deepEqual(await epochs(), [first]);
    await database.sql`update plinth_relay_buckets set expires_at = now() - interval '1 s'`;
    await database.sql`delete from plinth_relays`;
    await b.lease.beat();
    assert.deepEqual(await epochs(), [first + 1]);
  });

  it("are trusted for two thirds of the lease by the relay's own clock, and renewed each third", async () => {
    const database = await stage.service();
    const { lease, clock } = leaseOf(database, "a");
    await lease.beat();
    await clock.advance(9_999);
    assert.equal(lease.isHeld(), true);
    await clock.advance(1);
    assert.equal(lease.isHeld(), false);
    assert.equal(lease.bucketCount, 0);
    await lease.tick();
    assert.equal(lease.isHeld(), true);
    const [before] = await database.sql`select max(expires_at) as at from plinth_relay_buckets`;
    await clock.advance(4_999);
    await lease.tick();
    assert.deepEqual(
      (await database.sql`select max(expires_at) as at from plinth_relay_buckets`)[0],
      before,
      "too early",
    );
    await clock.advance(1);
    await lease.tick();
    assert.notDeepEqual((await database.sql`select max(expires_at) as at from plinth_relay_buckets`)[0], before);
  });

  it("that nobody has are asked for at the next tick", async () => {
    const database = await stage.service();
    const { lease, clock } = leaseOf(database, "a");
    await lease.beat();
    await database.sql`update plinth_relay_buckets set owner = null where bucket < 10`;
    await clock.advance(500);
    await lease.tick();
    assert.equal((await counts(database)).length, 2, "it does not know");
    lease.noteVacancy(true);
    await lease.tick();
    assert.deepEqual(await counts(database), [{ owner: "a", count: 64 }]);
  });

  it("are not given back while something of them is under way", async () => {
    const database = await stage.service();
    const [a, b] = [leaseOf(database, "a"), leaseOf(database, "b")];
    await a.lease.beat();
    await b.lease.beat();
    const gate = createGate();
    const working = a.lease.during(() => gate.opened);
    await a.lease.beat();
    assert.equal(a.lease.bucketCount, 64);
    gate.open();
    await working;
    await a.lease.beat();
    assert.equal(a.lease.bucketCount, 32);
  });

  it("are given back between two pieces of work, however little time there is between them", async () => {
    const database = await stage.service();
    const [a, b] = [leaseOf(database, "a"), leaseOf(database, "b")];
    await a.lease.beat();
    await b.lease.beat();
    const gate = createGate();
    const working = a.lease.during(() => gate.opened);
    await a.lease.beat();
    gate.open();
    await working;
    assert.equal(await a.lease.during(async () => a.lease.bucketCount), 32);
    await b.lease.beat();
    assert.equal(b.lease.bucketCount, 32);
  });

  it("of a process that is gone are free at once, where only one can have the database open", async () => {
    const database = await stage.service();
    await database.sql`
      update plinth_relay_buckets set owner = 'gone/a', expires_at = now() + interval '1 hour'`;
    await database.sql`insert into plinth_relays values ('gone/a', now() + interval '1 hour')`;
    const { lease } = leaseOf(database, "b");
    await lease.beat();
    assert.equal(lease.bucketCount, 64);
  });

  it("come back to a relay that could not renew for a while, without anything lost", async () => {
    const database = await stage.service();
    const warnings: string[] = [];
    const log = { warn: (_: unknown, text: string) => warnings.push(text), error: assert.fail };
    const broker = createMemoryBroker();
    await broker.ensure([mail]);
    const recorder = await record(broker);
    const relay = createRelay({ service: "shop", database, broker, lease: "300ms", log });
    const publisher = createPublisher({ service: "shop", database, wake: relay.wake });
    relay.start();
    await until("it has its keys", 5000, async () => (await relay.stats()).bucketCount === 64);
    await database.sql`alter table plinth_relays rename to hidden`;
    await until("it said so", 5000, () => warnings.includes("the relay could not renew its lease"));
    await database.transaction((tx) => publisher.publish(Sold, { key: "a", n: 1 }, { in: tx }));
    await systemClock.sleep(300);
    await database.sql`alter table hidden rename to plinth_relays`;
    await until("it came", 5000, () => recorder.seen.length === 1);
    await database.sql`alter table plinth_relays rename to hidden`;
    await relay.drain();
    assert.ok(warnings.includes("the relay keeps its lease until it ends"));
  });
});
