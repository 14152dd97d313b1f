import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { repository } from "./terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-launcher-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (path: string, text: string, at = 1000) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  utimesSync(join(folder, path), at, at);
};

function launch(...flags: string[]): string {
  return execFileSync(process.execPath, [...flags, join(folder, "bin/plinth.js")], { encoding: "utf8" }).trim();
}

/** A package of the same shape, which tells what ran, and what `import "plinth"` meant. */
before(() => {
  cpSync(join(repository, "bin"), join(folder, "bin"), { recursive: true });
  cpSync(join(repository, "package.json"), join(folder, "package.json"));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["tsx", "esbuild", "@esbuild"]) {
    symlinkSync(join(repository, "node_modules", name), join(folder, "node_modules", name));
  }
  const main = (what: string) => `import { name } from "plinth"; console.log("${what}", name);`;
  write("src/cli/main.ts", main("source"));
  write("src/index.ts", 'export const name: string = "source";');
  write("dist/cli/main.js", main("built"), 2000);
  write("dist/index.js", 'export const name = "built";', 2000);
});

test("what is published runs as it was built, whatever the times of its files", () => {
  assert.equal(launch(), "built built");
  write("src/index.ts", 'export const name: string = "source";', 3000);
  assert.equal(launch(), "built built");
});

test("a clone runs what it built, until its source changes", () => {
  write("tsconfig.build.json", "{}");
  write("src/index.ts", 'export const name: string = "source";', 1000);
  assert.equal(launch(), "built built");
  write("src/index.test.ts", "", 3000);
  assert.equal(launch(), "built built", "a test is no change");
  write("src/index.ts", 'export const name: string = "source";', 3000);
  assert.equal(launch(), "source source");
});

test("a clone that is not built runs its source", () => {
  rmSync(join(folder, "dist"), { recursive: true });
  assert.equal(launch(), "source source");
});

test("the source runs where it was asked for", () => {
  write("dist/cli/main.js", "throw new Error();", 9000);
  assert.equal(launch("--conditions=plinth:source"), "source source");
});
