import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { isError } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { assertKey, bucketCount, bucketOf, bucketSql } from "./bucket.ts";
import { embedded, postgresDriver, postgresSkip } from "./fixtures/drivers.ts";
import { bucketVectors } from "./vectors.ts";

const engines = { pglite: embedded, postgres: postgresDriver };

describe("bucketOf", () => {
  it("gives the published vectors", () => {
    for (const [key, bucket] of bucketVectors) assert.equal(bucketOf(key), bucket, JSON.stringify(key.slice(0, 40)));
  });

  it("spreads numbered keys evenly: no bucket of 1,024 gets more than twice its share", () => {
    const counts = new Array<number>(bucketCount).fill(0);
    for (let i = 0; i < 200_000; i++) (counts[bucketOf(`customer-${i}`)] as number)++;
    assert.ok(Math.max(...counts) < (2 * 200_000) / bucketCount, String(Math.max(...counts)));
    assert.ok(Math.min(...counts) > 0);
  });

  it("refuses what UTF-8 or PostgreSQL cannot hold, and says which", () => {
    for (const [key, says] of [
      ["a\0b", /holds no NUL/],
      ["\ud800", /half of a surrogate pair/],
      ["x\udc00y", /half of a surrogate pair/],
    ] as const) {
      assert.throws(
        () => bucketOf(key),
        (thrown) => isError(thrown, "SHARD_KEY_INVALID") && says.test(thrown.message),
      );
    }
  });

  it("refuses a key that is no text, and one that is too long for a database", () => {
    assert.throws(() => bucketOf(7 as unknown as string), /is text, not number/);
    assert.throws(() => assertKey("x".repeat(1025)), /at most 1024 characters, this one 1025/);
    assertKey("x".repeat(1024));
  });
});

for (const [engine, make] of Object.entries(engines)) {
  describe(`plinth_bucket on ${engine}`, { skip: engine === "postgres" && postgresSkip }, () => {
    let driver: DatabaseDriver;
    const schema = `bucket_${process.pid}`;
    before(async () => {
      driver = make();
      await driver.open();
      const db = createDatabase({ driver, schema });
      await db.session((session) => session.script(`create schema ${schema}; ${bucketSql}`));
    });
    after(async () => {
      await createDatabase({ driver, schema: "public" }).session((s) => s.script(`drop schema ${schema} cascade`));
      await driver.close();
    });

    const inSql = async (keys: readonly string[]): Promise<number[]> => {
      const rows = await createDatabase({ driver, schema }).sql<{ bucket: number }>`
        select plinth_bucket(key) as bucket from unnest(${keys}::text[]) with ordinality k(key, i) order by i`;
      return rows.map(({ bucket }) => bucket);
    };

    it("gives the published vectors", async () => {
      assert.deepEqual(
        await inSql(bucketVectors.map(([key]) => key)),
        bucketVectors.map(([, bucket]) => bucket),
      );
    });

    it("agrees with bucketOf on any text", async () => {
      const keys = fc.sample(
        fc
          .string({ unit: "grapheme", maxLength: 60 })
          .filter((key) => !key.includes("\0") && !/\p{Surrogate}/u.test(key)),
        1000,
      );
      assert.deepEqual(await inSql(keys), keys.map(bucketOf));
    });

    it("can stand in an index, and keeps NULL", async () => {
      const db = createDatabase({ driver, schema });
      await db.session((s) => s.script("create table t (k text); create index on t (plinth_bucket(k))"));
      assert.deepEqual(await db.sql`select plinth_bucket(null) as bucket`, [{ bucket: null }]);
    });
  });
}
