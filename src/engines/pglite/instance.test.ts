import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isError, StartError, systemClock } from "../../base/index.ts";
import type { DatabaseDriver } from "../../database/index.ts";
import { createDatabase } from "../../database/index.ts";
import { createPgliteDriver } from "./database.ts";
import engine from "./index.ts";
import { closeInstance, openInstance } from "./instance.ts";
import { createSeedCache, userCacheFolder } from "./seed.ts";

describe("the embedded database", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "plinth-pglite-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("keeps its data in the directory, which services share and a second opening finds again", async () => {
    const directory = join(folder, "shared");
    const [one, two] = [createPgliteDriver({ directory }), createPgliteDriver({ directory })];
    await Promise.all([one.open(), two.open(), one.open()]);
    const db = createDatabase({ driver: one, schema: "public" });
    await db.sql`create table kept (id int)`;
    await db.sql`insert into kept values (1)`;
    assert.equal(one.flags.durability, "process-crash");
    await one.close();
    await one.close();
    assert.deepEqual(await createDatabase({ driver: two, schema: "public" }).sql`select id from kept`, [{ id: 1 }]);
    // While the last user closes, another opens: it waits for the directory to be free.
    const closing = two.close();
    const again = createPgliteDriver({ directory });
    await Promise.all([closing, again.open()]);
    assert.deepEqual(await createDatabase({ driver: again, schema: "public" }).sql`select id from kept`, [{ id: 1 }]);
    assert.equal(again.stats.open, 1);
    await again.close();
  });

  test("begins anew when the very first start was cut off", async () => {
    const directory = join(folder, "half");
    mkdirSync(join(directory, "pgdata"), { recursive: true });
    writeFileSync(join(directory, "pgdata", "PG_VERSION"), "18");
    const driver = createPgliteDriver({ directory });
    await driver.open();
    await driver.close();
    assert.ok(existsSync(join(directory, "ready")));
  });

  test("throws a damaged seed away, makes a new one once, and starts from it", async () => {
    const cacheFolder = join(folder, "cache");
    const probe = createPgliteDriver({ cacheFolder });
    mkdirSync(cacheFolder);
    const version = JSON.parse(readFileSync("node_modules/@electric-sql/pglite/package.json", "utf8")).version;
    const path = join(cacheFolder, `pglite-${version}.tar.gz`);
    writeFileSync(path, "no archive");
    await probe.open();
    await probe.close();
    assert.deepEqual(readdirSync(cacheFolder), [`pglite-${version}.tar.gz`]);
    const { mtimeMs, size } = statSync(path);
    assert.ok(size > 1_000_000);
    const second = createPgliteDriver({ cacheFolder, directory: join(folder, "seeded") });
    await second.open();
    assert.deepEqual(await createDatabase({ driver: second, schema: "public" }).sql`select 1 as one`, [{ one: 1 }]);
    await second.close();
    assert.equal(statSync(path).mtimeMs, mtimeMs, "it was not made again");
  });

  test("does without a cache where none can be written", async () => {
    const blocked = join(folder, "file");
    writeFileSync(blocked, "");
    const cache = createSeedCache(join(blocked, "below"), "1");
    await cache.save(new Blob(["x"]));
    assert.equal(await cache.load(), undefined);
    assert.match(userCacheFolder(), /plinth$/);
  });

  test("refuses to serve before it is opened, after it is closed, and once its engine crashed", async () => {
    const driver = createPgliteDriver({ memory: "crash" });
    const db = createDatabase({ driver, schema: "public" });
    const refusal = (thrown: unknown): boolean => isError(thrown, "DATABASE_UNAVAILABLE") && thrown.executed === "no";
    await assert.rejects(db.sql`select 1`, refusal);
    assert.deepEqual([driver.stats.open, driver.stats.size], [0, 1]);
    await driver.open();
    // What the WebAssembly of a real crash throws.
    const crash = Object.assign(new Error("unreachable"), { name: "RuntimeError" });
    const cacheFolder = userCacheFolder();
    const same = { directory: undefined, memoryName: "crash", cacheFolder, queueSizeMax: 1, clock: systemClock };
    const { pglite } = await openInstance(same);
    pglite.query = () => Promise.reject(crash);
    await assert.rejects(db.sql`select 1`, refusal);
    await closeInstance(same, 0);
    await assert.rejects(db.sql`select 1`, refusal);
    await driver.close();
    await assert.rejects(db.sql`select 1`, refusal);
    await driver.close();
  });

  test("says at start where it could not begin, and what to do", async () => {
    const directory = join(folder, "blocked");
    writeFileSync(directory, "");
    await assert.rejects(createPgliteDriver({ directory }).open(), (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.match(thrown.message, /blocked.*did not start.*Check that the directory can be written/);
      return true;
    });
  });

  test("rolls back what somebody left open, before the next has the session", async () => {
    const driver = createPgliteDriver({ memory: "left-open" });
    await driver.open();
    const db = createDatabase({ driver, schema: "public" });
    await db.sql`create table item (id int)`;
    await db.session((session) => session.script("begin; insert into item values (1)"));
    assert.deepEqual(await db.sql`select id from item`, []);
    await driver.close();
  });

  test("reads directories and memory from its URL, and refuses what it would ignore", async () => {
    const make = (url: string): DatabaseDriver => engine.ports.database?.(new URL(url)) as DatabaseDriver;
    assert.equal(make("pglite:.plinth/data").flags.durability, "process-crash");
    assert.equal(make("pglite:///var/lib/shop").flags.durability, "process-crash");
    assert.equal(make("pglite:memory").flags.durability, "none");
    for (const url of ["pglite://host/data", "pglite:data?x=1", "pglite:"]) {
      assert.throws(
        () => make(url),
        (thrown) => thrown instanceof StartError && /takes a directory and nothing else/.test(thrown.message),
      );
    }
    const [one, two, other] = [make("pglite:memory:a"), make("pglite:memory:a"), make("pglite:memory:b")];
    await Promise.all([one.open(), two.open(), other.open()]);
    await createDatabase({ driver: one, schema: "public" }).sql`create table seen ()`;
    const look = (driver: DatabaseDriver) =>
      createDatabase({ driver, schema: "public" }).sql`select to_regclass('seen') is not null as seen`;
    assert.deepEqual([await look(two), await look(other)], [[{ seen: true }], [{ seen: false }]]);
    await Promise.all([one.close(), two.close(), other.close()]);
  });
});
