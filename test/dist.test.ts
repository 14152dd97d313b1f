import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { bundle } from "../scripts/bundle.ts";
import { root } from "../scripts/source/tree.ts";

/** Below the root, so that the built files find the same packages as a user's. Git ignores it. */
const home = `${root}coverage/package`;
const folder = `${home}/dist`;

describe("the package as it is published", () => {
  before(() => {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    copyFileSync(`${root}package.json`, `${home}/package.json`);
    const args = ["-p", "tsconfig.build.json", "--outDir", folder];
    const built = spawnSync(`${root}node_modules/.bin/tsc`, args, { cwd: root, encoding: "utf8" });
    assert.equal(built.status, 0, built.stdout);
    assert.equal(bundle(folder), undefined);
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  for (const door of ["index", "testing", "verify/index"]) {
    test(`${door}.js runs on plain Node and exports what its source does`, async () => {
      const script = `import(${JSON.stringify(`file://${folder}/${door}.js`)}).then((m) => console.log(JSON.stringify(Object.keys(m).sort())))`;
      const built = JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" })) as string[];
      const source = (await import(`../src/${door}.ts`)) as object;
      assert.deepEqual(built, Object.keys(source).sort());
      assert.ok(built.length > 0);
    });
  }

  test("the command finds what stands beside the code, and the licences of what is in it", () => {
    const script = `import(${JSON.stringify(`file://${folder}/cli/main.js`)})`;
    const shown = execFileSync(process.execPath, ["-e", script, "plinth", "--version"], { encoding: "utf8" });
    assert.equal(shown.trim(), JSON.parse(readFileSync(`${root}package.json`, "utf8")).version);
    assert.match(readFileSync(`${folder}/code/LICENSES.txt`, "utf8"), /^ajv [\d.]+ \(MIT\)$/m);
  });
});
