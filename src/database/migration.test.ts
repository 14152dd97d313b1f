import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { StartError } from "../base/index.ts";
import { readMigrations } from "./migration.ts";

describe("reading migrations", () => {
  let root = "";
  before(() => {
    root = mkdtempSync(join(tmpdir(), "plinth-migrations-"));
  });
  after(() => rmSync(root, { recursive: true }));

  /** A folder with these files, and its URL without the slash at the end. */
  const folder = (name: string, files: Readonly<Record<string, string>>): URL => {
    mkdirSync(join(root, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), text);
    return pathToFileURL(join(root, name));
  };
  const refused = (source: URL | Parameters<typeof readMigrations>[0], ...patterns: RegExp[]) =>
    assert.rejects(readMigrations(source), (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.equal(thrown.reason, "MIGRATIONS_INVALID");
      assert.equal(thrown.problems.length, patterns.length, thrown.message);
      patterns.forEach((pattern, i) => {
        assert.match(thrown.problems[i] as string, pattern);
      });
      return true;
    });

  test("takes the .sql files of a folder by number, and leaves others alone", async () => {
    const steps = await readMigrations(
      folder("good", {
        "0002-index.sql": "-- a note\n-- plinth: no-transaction\ncreate index concurrently a on b (c);",
        "0001-products.sql": "create table b (c int); -- plinth: no-transaction",
        "README.md": "notes",
      }),
    );
    assert.deepEqual(
      steps.map(({ number, name, transactional, statements }) => [number, name, transactional, statements.length]),
      [
        [1, "0001-products", true, 1],
        [2, "0002-index", false, 1],
      ],
    );
    assert.match(steps[0]?.where ?? "", /good.0001-products\.sql$/);
    assert.deepEqual(await readMigrations(folder("none", {})), []);
  });

  test("names every file that is wrong, and the remedy", async () => {
    await refused(
      folder("bad", {
        "0001-a.sql": "begin; create table a (); commit",
        "0002-b.sql": "",
        "0002-c.sql": "",
        "0005-d.sql": "",
        "products.sql": "",
      }),
      /0001-a\.sql: leave out "begin": each file runs in a transaction/,
      /0001-a\.sql: leave out "commit"/,
      /products\.sql: name it NNNN-what-it-does\.sql/,
      /0002-b\.sql and .*0002-c\.sql have the same number/,
      /0005-d\.sql: there is no number 0003 before it/,
    );
    await refused(pathToFileURL(join(root, "nowhere")), /cannot read the folder .*nowhere.?: create it/);
    await refused([{ name: "first", sql: "" }], /first \(in code\): name it NNNN-what-it-does, such as/);
  });

  test("gives a step in code the checksum of its name and version", async () => {
    const run = async (): Promise<void> => {};
    const [one] = await readMigrations([{ name: "0001-a", run }]);
    const [same] = await readMigrations([{ name: "0001-a", run: async () => {} }]);
    const [other] = await readMigrations([{ name: "0001-a", run, version: "2" }]);
    assert.equal(one?.checksum, same?.checksum);
    assert.notEqual(one?.checksum, other?.checksum);
  });
});
