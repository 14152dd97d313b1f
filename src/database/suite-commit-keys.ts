import assert from "node:assert/strict";
import { createManualClock, error, isError } from "../base/index.ts";
import { commitKeysText } from "./commit-key.ts";
import type { Database } from "./database.ts";
import type { DatabaseDriver, Session } from "./driver.ts";
import type { FaultyDatabase } from "./faulty.ts";
import { createFaultyDatabase } from "./faulty.ts";
import type { DatabaseClaim, DatabaseWorld } from "./suite-claim.ts";

/** A table, and the database once more through a driver that loses connections as told. */
async function setUp({ db, driver, database }: DatabaseWorld): Promise<{ faulty: FaultyDatabase; through: Database }> {
  const table = "create table item (id int generated always as identity, name text not null)";
  await db.session((session) => session.script(`${table};\n${commitKeysText(db.schema)}`));
  const faulty = createFaultyDatabase(driver);
  return { faulty, through: await database({ driver: faulty, schema: db.schema }) };
}

const names = async (db: Database): Promise<unknown[]> =>
  (await db.sql<{ name: string }>`select name from item order by id`).map(({ name }) => name);

/** The first COMMIT is lost with its connection, and `overtake` has run before anybody can ask about it. */
function overtakenAtCommit(driver: DatabaseDriver, overtake: () => Promise<unknown>): DatabaseDriver {
  let isLost = false;
  const losing = (session: Session): Session => ({
    script: (text, limits) => session.script(text, limits),
    release: (broken) => session.release(broken),
    async query(text, values, limits) {
      if (text !== "commit" || isLost) return session.query(text, values, limits);
      isLost = true;
      await session.query("rollback", [], limits);
      session.release(true);
      await overtake();
      throw error("unavailable", "It is gone.", { reason: "DATABASE_UNAVAILABLE", executed: "maybe" });
    },
  });
  return Object.create(driver, {
    acquire: {
      value: async (options: Parameters<DatabaseDriver["acquire"]>[0]) => losing(await driver.acquire(options)),
    },
  });
}

/** Whether it happened is known. */
export const commitKeyCases: readonly DatabaseClaim[] = [
  {
    name: "answers with the result when only the answer to COMMIT was lost, and runs the hooks once",
    async prove(world) {
      const { faulty, through } = await setUp(world);
      let runs = 0;
      let hooks = 0;
      faulty.loseNext(/^commit$/, "after");
      const result = await through.transaction(
        async (tx) => {
          tx.afterCommit(() => hooks++);
          await tx.sql`insert into item (name) values ('a')`;
          return `run ${++runs}`;
        },
        { key: "order-1" },
      );
      assert.deepEqual([result, runs, hooks, faulty.lossCount], ["run 1", 1, 1, 1]);
      assert.deepEqual(await names(world.db), ["a"]);
    },
  },
  {
    name: "runs again when the COMMIT itself was lost",
    async prove(world) {
      const { faulty, through } = await setUp(world);
      let runs = 0;
      faulty.loseNext(/^commit$/, "before");
      const result = await through.transaction(
        async (tx) => {
          await tx.sql`insert into item (name) values (${`run ${++runs}`})`;
          return runs;
        },
        { key: "order-2" },
      );
      assert.deepEqual([result, runs, faulty.lossCount], [2, 2, 1]);
      assert.deepEqual(await names(world.db), ["run 2"]);
    },
  },
  {
    name: "does not take the commit of another with the same key for its own",
    async prove(world) {
      await setUp(world);
      const { db, driver } = world;
      const insert = (on: Database, name: string): Promise<string> =>
        on.transaction(
          async (tx) => {
            await tx.sql`insert into item (name) values (${name})`;
            return name;
          },
          { key: "order-3" },
        );
      const cut = overtakenAtCommit(driver, () => insert(db, "theirs"));
      await assert.rejects(
        insert(await world.database({ driver: cut, schema: db.schema }), "mine"),
        (thrown) => isError(thrown, "COMMIT_KEY_USED") && thrown.executed === "no",
      );
      assert.deepEqual(await names(db), ["theirs"]);
    },
  },
  {
    name: "says no and not maybe when there is no further try, and maybe without a key",
    async prove(world) {
      const { faulty, through } = await setUp(world);
      const insert = (options: { key?: string; attempts: number }): Promise<unknown> => {
        faulty.loseNext(/^commit$/, "before");
        return through.transaction((tx) => tx.sql`insert into item (name) values ('a')`, options);
      };
      await assert.rejects(
        insert({ key: "k", attempts: 1 }),
        (thrown) => isError(thrown, "COMMIT_LOST") && thrown.executed === "no",
      );
      await assert.rejects(
        insert({ attempts: 5 }),
        (thrown) => isError(thrown, "COMMIT_OUTCOME_UNKNOWN") && thrown.executed === "maybe",
      );
      assert.deepEqual(await names(world.db), []);
    },
  },
  {
    name: "never loses and never doubles a transaction with a key while answers and statements are lost",
    async prove(world) {
      const { faulty, through } = await setUp(world);
      faulty.faults.lossRate = 0.1;
      const acknowledged: string[] = [];
      for (let i = 0; i < 40; i++) {
        const name = `item ${i}`;
        for (let attempt = 1; ; attempt++) {
          assert.ok(attempt < 50, "it heals");
          try {
            await through.transaction((tx) => tx.sql`insert into item (name) values (${name})`, { key: name });
            break;
          } catch (thrown) {
            if (isError(thrown, "COMMIT_KEY_USED")) break;
            assert.ok(isError(thrown), String(thrown));
          }
        }
        acknowledged.push(name);
      }
      assert.ok(faulty.lossCount > 5, `only ${faulty.lossCount} losses`);
      assert.deepEqual(await names(world.db), acknowledged);
    },
  },
  {
    name: "refuses a second transaction with a key that has committed, also when both run at once",
    async prove(world) {
      const { db } = world;
      await setUp(world);
      const once = (): Promise<unknown> =>
        db.transaction((tx) => tx.sql`insert into item (name) values ('once')`, { key: "k" });
      const settled = await Promise.allSettled([once(), once(), once()]);
      const refused = settled.filter((each) => each.status === "rejected");
      assert.equal(refused.length, 2);
      for (const { reason } of refused) {
        assert.ok(isError(reason, "COMMIT_KEY_USED") && reason.executed === "no", String(reason));
      }
      assert.deepEqual(await names(db), ["once"]);
    },
  },
  {
    name: "keeps no key of a transaction that was rolled back",
    async prove(world) {
      const { db } = world;
      await setUp(world);
      const mine = new Error("mine");
      const fail = db.transaction(() => Promise.reject(mine), { key: "k" });
      await assert.rejects(fail, (thrown) => thrown === mine);
      assert.equal(await db.transaction(async () => "done", { key: "k" }), "done");
    },
  },
  {
    name: "keeps keys for 7 days and then removes them",
    async prove(world) {
      await setUp(world);
      const clock = createManualClock();
      const db = await world.database({ schema: world.db.schema, clock });
      await db.transaction(async () => {}, { key: "first" });
      await db.sql`update plinth_commits set committed_at = now() - interval '8 days'`;
      await db.sql`insert into plinth_commits values ('younger', now() - interval '6 days')`;
      const keys = async () =>
        (await db.sql<{ key: string }>`select key from plinth_commits order by 1`).map((row) => row.key);
      await db.transaction(async () => {}, { key: "second" });
      assert.deepEqual(await keys(), ["first", "second", "younger"]);
      await clock.advance(600_000);
      await db.transaction(async () => {}, { key: "third" });
      assert.deepEqual(await keys(), ["second", "third", "younger"]);
    },
  },
  {
    name: "refuses keys that are none, and says when the table for them is missing",
    async prove({ db }) {
      for (const key of ["", "x".repeat(256)]) {
        await assert.rejects(
          db.transaction(async () => {}, { key }),
          (thrown) => isError(thrown, "COMMIT_KEY_INVALID"),
        );
      }
      await assert.rejects(
        db.transaction(async () => {}, { key: "k" }),
        (thrown) => isError(thrown, "COMMIT_KEYS_MISSING"),
      );
    },
  },
];
