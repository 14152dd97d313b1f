import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "../base/index.ts";
import { createDatabase } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import { createBrokerTables } from "./broker-tables.ts";
import type { ClaimedDelivery } from "./delivery-claim.ts";
import type { Stage } from "./fixtures/stage.ts";
import { openStage, pick } from "./fixtures/stage.ts";
import { migrateBroker } from "./migrations.ts";
import { mail, messageOf, numbered } from "./suite-probe.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());

const claim = {
  wanted: [{ subscription: mail.subscription, limit: 8 }],
  suspects: false,
  owner: "p1/b1",
  leaseMs: 60_000,
  inHand: [],
};

async function tablesOf(schema: string) {
  const database = createDatabase({ driver: stage.driver, schema });
  await migrateBroker(database);
  return { database, tables: createBrokerTables(database) };
}

describe("the broker's tables", () => {
  it("keep a message that a replay delivers again while it is being looked at for deletion", async () => {
    const { tables, database } = await tablesOf("tables_sweep");
    await tables.ensure([mail]);
    await tables.publish([messageOf(), messageOf()]);
    await database.sql`delete from deliveries`;
    await database.sql`update messages set published_at = published_at - interval '8 days'`;
    const sweeping = createBrokerTables(
      createDatabase({
        schema: "tables_sweep",
        driver: {
          ...pick(stage.driver),
          async acquire(options) {
            const session = await stage.driver.acquire(options);
            return {
              script: session.script.bind(session),
              release: session.release.bind(session),
              async query(text, values, limits) {
                const result = await session.query(text, values, limits);
                if (text.includes("for update of m skip locked")) {
                  // What a replay has committed since this statement took its snapshot.
                  await session.query(
                    `insert into tables_sweep.deliveries (subscription, seq, source, key, message)
                     select 'mail.send', 1000, source, key, seq from tables_sweep.messages order by seq limit 1`,
                    [],
                    limits,
                  );
                }
                return result;
              },
            };
          },
        },
      }),
    );
    assert.equal(await sweeping.deleteOld(7 * 86_400_000, 10), 1);
    const left = await database.sql`
      select 1 from deliveries d join messages m on m.seq = d.message`;
    assert.equal(left.length, 1);
  });

  it("are not those of a copy, although the copy says so", async () => {
    const { tables, database } = await tablesOf("plinth_broker");
    const copy = await openStage();
    const copied = createDatabase({ driver: copy.driver, schema: "plinth_broker" });
    await migrateBroker(copied);
    const [identity] = await database.sql`select id from identity`;
    await copied.sql`update identity set id = ${identity?.id}`;
    assert.equal(await tables.areIn(await copy.service()), false);
    assert.equal(await tables.areIn(await stage.service()), true);
    assert.deepEqual(await database.sql`select 1 from nonces`, [], "nothing is left of the question");
    await copy.close();
  });

  it("claim for several subscriptions at once, and tell of an end whether its key has more", async () => {
    const { tables } = await tablesOf("tables_several");
    const others = { ...mail, subscription: "mail.count" };
    await tables.ensure([mail, others]);
    await tables.publish([messageOf({ key: "a" }), messageOf({ key: "a" }), messageOf({ key: "b" })]);
    const wanted = [...claim.wanted, { subscription: others.subscription, limit: 1 }];
    const claimed = await tables.claim({ ...claim, wanted });
    const of = (name: string) => claimed.filter(({ subscription }) => subscription === name);
    assert.deepEqual([of(mail.subscription).length, of(others.subscription).length], [2, 1]);
    assert.deepEqual(await tables.acknowledge(of(mail.subscription)), ["more", "last"]);
    const [next] = await tables.claim({ ...claim, inHand: claimed });
    assert.ok(next);
    assert.deepEqual(await tables.acknowledge([next, next]), ["last", "last"]);
    assert.deepEqual(await tables.acknowledge([next]), ["lost"]);
  });

  it("drop deliveries whose message is gone, and deliver what waited behind them", async () => {
    const { tables, database } = await tablesOf("tables_orphans");
    await tables.ensure([mail]);
    await tables.publish([...numbered("a", 20), ...numbered("b", 1)]);
    // A retirement that was broken off after its first step, and a subscription that is there again.
    await database.sql`delete from subscriptions`;
    await database.sql`update messages set published_at = published_at - interval '8 days'`;
    assert.equal(await tables.deleteOld(7 * 86_400_000, 100), 21);
    await tables.ensure([mail]);
    const message = messageOf({ key: "a" });
    await tables.publish([message]);
    const claimed = await tables.claim(claim);
    assert.deepEqual(
      claimed.map(({ delivery }) => delivery.message.id),
      [message.id],
    );
    const [row] = await database.sql`select count(*)::int as count from deliveries`;
    assert.equal(row?.count, 1);
    assert.deepEqual(await tables.claim(claim), []);
  });
});

const url = process.env.PLINTH_TEST_POSTGRES_URL;

describe("the broker's tables on Postgres", { skip: url ? false : "PLINTH_TEST_POSTGRES_URL is not set" }, () => {
  it("renew and end the same deliveries at a time, in whatever order they are named", async () => {
    const driver = postgres.ports.database?.(new URL(url ?? ""));
    assert.ok(driver);
    const real = await openStage(driver);
    try {
      const database = createDatabase({ driver, schema: `events_test_${newId().replaceAll("-", "")}` });
      await migrateBroker(database);
      const tables = createBrokerTables(database);
      await tables.ensure([mail]);
      await tables.publish(Array.from({ length: 5 }, () => messageOf()));
      const claimed = await tables.claim(claim);
      // Each row takes long, so that the two meet in the middle.
      await database.session((session) =>
        session.script(`
          create function slow() returns trigger language plpgsql as $$
            begin perform pg_sleep(0.1); return coalesce(new, old); end $$;
          create trigger slow before update or delete on deliveries for each row execute function slow()`),
      );
      const backwards: readonly ClaimedDelivery[] = [...claimed].reverse();
      const [, ended] = await Promise.all([tables.renew(claimed, 60_000), tables.acknowledge(backwards)]);
      assert.deepEqual(ended, Array(5).fill("last"));
      assert.deepEqual(await database.sql`select 1 from deliveries`, []);
      await database.session((session) => session.script(`drop schema ${database.schema} cascade`));
    } finally {
      await real.close();
    }
  });
});
