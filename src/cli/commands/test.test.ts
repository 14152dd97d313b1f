import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { startProcess } from "../process.fixture.ts";
import { run } from "../terminal.fixture.ts";
import { findTests } from "../test-run.ts";

const root = mkdtempSync(join(tmpdir(), "plinth-test-"));
after(() => rmSync(root, { recursive: true, force: true }));

const passing = 'import { test } from "node:test"; const word: string = "typed"; test(word + " passes", () => {});';
const failing = 'import { test } from "node:test"; test("fails", () => { throw new Error("on purpose"); });';

let count = 0;
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = join(root, String(count++));
  for (const [path, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

test("finds every test here and below, in order, and none of packages and built files", () => {
  const folder = folderWith({
    "b.test.ts": "",
    "a/c.test.js": "",
    "a/app.ts": "",
    "node_modules/x/x.test.js": "",
    "dist/b.test.js": "",
    ".git/x.test.ts": "",
  });
  assert.deepEqual(findTests(folder), [join(folder, "a/c.test.js"), join(folder, "b.test.ts")]);
});

test("runs tests in TypeScript, in NODE_ENV test, and ends with 0 when all pass", async () => {
  const environment = 'import { test } from "node:test"; if (process.env.NODE_ENV !== "test") throw new Error();';
  const folder = folderWith({ "a.test.ts": passing, "b.test.ts": environment });
  const tests = startProcess(["test"], { cwd: folder });
  assert.equal(await tests.ended, 0, tests.text());
  assert.match(tests.text(), /typed passes/);
});

test("ends with 1 when one fails, and runs only what was named", async () => {
  const folder = folderWith({ "a.test.ts": passing, "below/b.test.ts": failing });
  const all = startProcess(["test", "below"], { cwd: folder });
  assert.equal(await all.ended, 1);
  assert.match(all.text(), /on purpose/);
  assert.doesNotMatch(all.text(), /typed passes/);
  const one = startProcess(["test", "a.test.ts", "--", "--test-name-pattern=nothing"], { cwd: folder });
  assert.equal(await one.ended, 0);
  assert.match(one.text(), /skipped 1|# SKIP/);
});

test("refuses where there is nothing to run", async () => {
  const folder = folderWith({});
  const { code, err } = await run(["test"], { cwd: folder });
  assert.equal(code, 2);
  assert.match(err, /There is no test in .*; write one into a file that ends with \.test\.ts/);
  assert.match((await run(["test", "gone"], { cwd: folder })).err, /gone: there is no such file or folder/);
});
