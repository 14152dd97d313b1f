import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Database } from "../database/index.ts";
import { migrate } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, shardBy } from "./fixtures/bank.ts";
import { embedded } from "./fixtures/drivers.ts";
import { createMover } from "./mover.ts";
import { migrateShards } from "./shard-migrations.ts";

const [main, b] = [embedded(), embedded()];
const drivers = new Map([
  ["main", main],
  ["b", b],
]);
let bank: Bank;

/** The tables of events as far as they matter here, with counters from before the service was sharded. */
async function prepare(database: Database): Promise<void> {
  const tables = `
    create table plinth_event_keys (key text primary key, seq bigint not null);
    create table plinth_outbox (key text primary key, published_at timestamptz);`;
  await migrate(database, [{ name: "0001-events", sql: tables }], { set: "events" });
}

async function prepareWithHistory(database: Database): Promise<void> {
  await prepare(database);
  await database.sql`insert into plinth_event_keys values ('ann', 7), ('bob', 3) on conflict do nothing`;
}

/** As the publisher draws the number of an event. */
async function draw(key: string): Promise<number | undefined> {
  const [row] = await bank.db.at(key).transaction(
    (tx) => tx.sql<{ seq: number }>`
      insert into plinth_event_keys as k (key, seq) values (${key}, 1)
      on conflict (key) do update set seq = k.seq + 1 returning seq`,
  );
  return row?.seq;
}

async function move(key: string, to: string): Promise<void> {
  const { directory, databases } = bank;
  const mover = createMover({
    directory,
    shards: databases,
    service: "bank",
    shardBy,
    pauseMsMax: 2_000,
    fenceAttempts: 1,
  });
  const [ended] = await mover.move({ buckets: [bucketOf(key)], to });
  assert.equal(ended?.state, "DONE", ended?.note ?? "");
}

describe("the numbers of a key's events", () => {
  before(() => Promise.all([main.open(), b.open()]));
  after(() => Promise.all([main.close(), b.close()]));
  beforeEach(() => bank?.close());

  it("go on where they were, wherever the key moves", async () => {
    bank = await openBank({ directory: main, shards: drivers, prepare });
    assert.deepEqual([await draw("ann"), await draw("ann")], [1, 2]);
    await move("ann", "b");
    assert.equal(await draw("ann"), 3);
    await move("ann", "main");
    assert.equal(await draw("ann"), 4);
  });

  it("go on for keys of a service that was not sharded before, used since or not", async () => {
    const one = new Map([["main", main]]);
    bank = await openBank({ directory: main, shards: one, prepare: prepareWithHistory });
    assert.equal(await draw("ann"), 8);
    const { schema } = bank;
    bank = await openBank({ directory: main, shards: drivers, prepare, schema });
    await move("ann", "b");
    await move("bob", "b");
    assert.deepEqual([await draw("ann"), await draw("bob")], [9, 4]);
  });

  it("go on after an update from a version that tagged only what was inserted", async () => {
    bank = await openBank({ directory: main, shards: drivers, prepare });
    const home = bank.schema;
    await bank.on("main").session((session) =>
      session.script(
        `drop trigger plinth_tag on ${home}.plinth_event_keys;
         create trigger plinth_tag before insert on ${home}.plinth_event_keys
           for each row execute function ${home}.plinth_tag_key();
         insert into ${home}.plinth_event_keys values ('ann', 5);`,
      ),
    );
    await migrateShards({ directory: bank.directory, shards: bank.databases, service: "bank", shardBy });
    await move("ann", "b");
    assert.equal(await draw("ann"), 6);
  });

  it("go on for a key whose counter was first written beside the router", async () => {
    bank = await openBank({ directory: main, shards: drivers, prepare });
    await bank.on("main").sql`insert into plinth_event_keys values ('ann', 5)`;
    assert.equal(await draw("ann"), 6);
    await move("ann", "b");
    assert.equal(await draw("ann"), 7);
  });

  it("are not overtaken: an event of the key that was published beside the router leaves first as well", async () => {
    bank = await openBank({ directory: main, shards: drivers, prepare });
    await bank.on("main").sql`insert into plinth_outbox values ('ann')`;
    await assert.rejects(move("ann", "b"), /1 events of the outbox were not published/);
    await bank.on("main").sql`delete from plinth_outbox`;
    await move("ann", "b");
  });
});
