import assert from "node:assert/strict";
import { StartError } from "../base/index.ts";
import { createDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { Migration } from "./migration.ts";
import { inspectMigrations, planMigrations } from "./migration-plan.ts";
import type { DatabaseClaim } from "./suite-claim.ts";

const items: Migration = {
  name: "0001-items",
  sql: "create table item (id int primary key);\ninsert into item values (1);",
};
const more: Migration = { name: "0002-more", sql: "alter table item add column more text" };
const fill: Migration = {
  name: "0003-fill",
  run: async (tx) => {
    await tx.sql`update item set more = 'filled'`;
  },
};

const refusal =
  (reason: string, pattern: RegExp) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof StartError, String(thrown));
    assert.equal(thrown.reason, reason);
    assert.match(thrown.message, pattern);
    return true;
  };

/** Schemas and their history. */
export const migrationCases: readonly DatabaseClaim[] = [
  {
    name: "makes the schema, applies what is pending in order, once, and plans without applying",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      const plan = await planMigrations(db, [items, more]);
      assert.deepEqual(plan, [
        { number: 1, name: "0001-items" },
        { number: 2, name: "0002-more" },
      ]);
      assert.deepEqual(await migrate(db, [items]), [{ number: 1, name: "0001-items" }]);
      assert.deepEqual(await planMigrations(db, [items, more, fill]), [plan[1], { number: 3, name: "0003-fill" }]);
      assert.equal((await migrate(db, [more, fill, items])).length, 2, "the order of the list does not matter");
      assert.deepEqual(await migrate(db, [items, more, fill]), []);
      assert.deepEqual(await db.sql`select * from item`, [{ id: 1, more: "filled" }]);
      assert.deepEqual(await migrate(db, [{ name: "0001-other", sql: "create table other ()" }], { set: "events" }), [
        { number: 1, name: "0001-other" },
      ]);
    },
  },
  {
    name: "refuses an edited step and a missing one, by name and remedy, and allows an older version when told",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      await migrate(db, [items, more]);
      const edited = { ...items, sql: `${"sql" in items ? items.sql : ""} -- edited` };
      for (const act of [migrate, planMigrations]) {
        await assert.rejects(
          act(db, [edited, more]),
          refusal("MIGRATION_EDITED", /0001-items.*was edited.*new migration/),
        );
        await assert.rejects(act(db, [items]), refusal("MIGRATION_MISSING", /0002-more was applied.*restore it/));
        await assert.rejects(
          act(db, [items, { ...more, name: "0002-renamed" }]),
          refusal("MIGRATION_MISSING", /0002-more.*0002-renamed/),
        );
        assert.deepEqual(await act(db, [items], { ahead: "allow" }), []);
      }
      const dos = { ...items, sql: ("sql" in items ? items.sql : "").replaceAll("\n", "\r\n") };
      assert.deepEqual(await migrate(db, [dos, more]), [], "other line ends are no edit");
    },
  },
  {
    name: "keeps whole steps when one fails, and goes on from there",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      const broken: Migration = {
        name: "0002-more",
        sql: "alter table item add column more text; select * from nowhere",
      };
      await assert.rejects(
        migrate(db, [items, broken, fill]),
        refusal("MIGRATION_FAILED", /0002-more.*nowhere.*Nothing of it/),
      );
      assert.deepEqual(await db.sql`select * from item`, [{ id: 1 }]);
      assert.equal((await migrate(db, [items, more, fill])).length, 2);
    },
  },
  {
    name: "runs no-transaction steps one statement at a time, outside of a transaction",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      const sql = `-- plinth: no-transaction
        create index concurrently if not exists item_a on item (id); create index concurrently if not exists item_b on item (id);`;
      await migrate(db, [items, { name: "0002-index", sql }]);
      assert.equal(
        (await db.sql`select 1 from pg_indexes where schemaname = ${db.schema} and indexname like 'item\\__'`).length,
        2,
      );
    },
  },
  {
    name: "drops the invalid index that a failed step without a transaction left, and builds it again",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      await migrate(db, [items]);
      await db.session((session) =>
        session.script("alter table item add column tag text; insert into item values (2, 'a'), (3, 'a')"),
      );
      const tag: Migration = {
        name: "0002-tag",
        sql: `-- plinth: no transaction\ncreate unique index concurrently if not exists "Item_tag" on item (tag)`,
      };
      await assert.rejects(migrate(db, [items, tag]), refusal("MIGRATION_FAILED", /0002-tag.*run again/));
      const valid = () => db.sql`select i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace where c.relname = 'Item_tag' and n.nspname = ${db.schema}`;
      assert.deepEqual(await valid(), [{ valid: false }], "PostgreSQL leaves it");
      await db.sql`delete from item where id = 3`;
      assert.deepEqual(await migrate(db, [items, tag]), [{ number: 2, name: "0002-tag" }]);
      assert.deepEqual(await valid(), [{ valid: true }]);
    },
  },
  {
    name: "refuses what the lint calls an error when told to, before anything ran, and shows it in the plan",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const db = createDatabase({ driver, schema: newSchema() });
      const index: Migration = { name: "0003-index", sql: "create index item_more on item (more)" };
      await migrate(db, [items, more, index].slice(0, 1), { lint: "refuse" });
      const unsafe = migrate(db, [items, more, index], { lint: "refuse" });
      await assert.rejects(unsafe, refusal("MIGRATION_UNSAFE", /0003-index.*:1 \[create-index\].*concurrently/));
      const planned = await inspectMigrations(db, [items, more, index]);
      assert.deepEqual(
        planned.map(({ name, locks, findings }) => [name, locks, findings.map(({ rule, level }) => [rule, level])]),
        [
          ["0002-more", [{ table: "item", lock: "ACCESS EXCLUSIVE" }], []],
          ["0003-index", [{ table: "item", lock: "SHARE" }], [["create-index", "error"]]],
        ],
      );
      const allowed = {
        ...index,
        sql: `-- plinth-lint: allow create-index because it is small\n${"sql" in index ? index.sql : ""}`,
      };
      assert.equal((await migrate(db, [items, more, allowed], { lint: "refuse" })).length, 2);
    },
  },
  {
    name: "lets concurrent starters apply each step once",
    needs: "sessionState",
    async prove({ driver, newSchema }) {
      const schema = newSchema();
      const starters = Array.from({ length: 4 }, () =>
        migrate(createDatabase({ driver, schema }), [items, more, fill]),
      );
      const applied = (await Promise.all(starters)).flat();
      assert.deepEqual(
        applied.map(({ number }) => number),
        [1, 2, 3],
      );
    },
  },
];
