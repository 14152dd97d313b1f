import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../base/index.ts";
import type { Watcher } from "./watcher.ts";
import { createWatcher } from "./watcher.ts";

const root = mkdtempSync(join(tmpdir(), "plinth-watch-"));
after(() => rmSync(root, { recursive: true, force: true }));
let watcher: Watcher | undefined;
afterEach(() => watcher?.close());

function folderWith(...files: string[]): { folder: string; write: (path: string) => void; seen: string[] } {
  const folder = mkdtempSync(join(root, "app-"));
  const write = (path: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), String(Math.random()));
  };
  for (const file of files) write(file);
  const seen: string[] = [];
  watcher = createWatcher({
    folder,
    clock: systemClock,
    onChange: (file) => seen.push(file),
    say: () => {},
    quietMs: 30,
  });
  return { folder, write, seen };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !what(); i++) await sleep(20);
  assert.ok(what(), "it did not happen within 4 s");
}

test("tells a change of a source file, in a folder below too", async () => {
  const { write, seen } = folderWith("app.ts", "a/b/c.sql");
  write("a/b/c.sql");
  await until(() => seen.length === 1);
  write("app.ts");
  await until(() => seen.length === 2);
  write(".env");
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [join("a", "b", "c.sql"), "app.ts", ".env"]);
});

test("tells changes that come together once", async () => {
  const { write, seen } = folderWith("app.ts", "b.ts");
  for (let i = 0; i < 5; i++) {
    write("app.ts");
    write("b.ts");
  }
  await until(() => seen.length > 0);
  await sleep(100);
  assert.deepEqual(seen, ["app.ts"]);
});

test("sees folders that come later, and those that come again", async () => {
  const { folder, write, seen } = folderWith("app.ts");
  mkdirSync(join(folder, "new"));
  await sleep(100);
  write("new/x.ts");
  await until(() => seen.length === 1);
  rmSync(join(folder, "new"), { recursive: true });
  await sleep(150);
  seen.length = 0;
  mkdirSync(join(folder, "new"));
  await sleep(100);
  write("new/y.ts");
  await until(() => seen.includes(join("new", "y.ts")));
});

test("leaves alone what is no source: packages, built files, data, hidden folders", async () => {
  const { write, seen } = folderWith("node_modules/a/index.js", "dist/app.js", ".plinth/x.json", "notes.txt");
  for (const path of ["node_modules/a/index.js", "dist/app.js", ".plinth/x.json", "notes.txt", "node_modules/b.js"]) {
    write(path);
  }
  await sleep(200);
  assert.deepEqual(seen, []);
});

test("tells nothing once it is closed", async () => {
  const { write, seen } = folderWith("app.ts");
  write("app.ts");
  watcher?.close();
  await sleep(150);
  assert.deepEqual(seen, []);
});
