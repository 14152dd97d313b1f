import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isTypeOnly } from "../scripts/test/coverage.ts";
import { describeEngines } from "../scripts/test/engines.ts";
import { kindOf, testFiles, typeClaims } from "../scripts/test/files.ts";
import { runFiles } from "../scripts/test/run.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the text as a test file and gives back one line for each test, and what was said about the last one. */
async function outcome(name: string, text: string): Promise<{ lines: string[]; why: string; output: string }> {
  const path = join(folder, `${name}.test.mjs`);
  writeFileSync(path, `import assert from "node:assert";\nimport { describe, test } from "node:test";\n${text}`);
  const limits = { fileMsMax: 5000, lingerMsMax: 500 };
  const [result] = await runFiles([path], join(folder, name), () => {}, limits);
  const tests = result?.tests ?? [];
  return {
    lines: tests.map((item) => `${item.outcome} ${item.name}`),
    why: tests.at(-1)?.why ?? "",
    output: result?.output ?? "",
  };
}

describe("running a test file", () => {
  test("counts what passed, failed and was skipped, by full name, suites aside", async () => {
    const { lines } = await outcome(
      "mixed",
      `test("a", () => {});
       describe("b", () => { test("c", () => {}); test("d", () => assert.equal(1, 2)); });
       test("e", { skip: "no engine" }, () => {});
       test("f", async (t) => { await t.test("g", () => { throw new Error("x"); }); });
       test("h", { todo: true }, () => assert.fail());`,
    );
    assert.deepEqual(lines, ["passed a", "passed b > c", "failed b > d", "skipped e", "failed f > g", "skipped h"]);
  });

  test("keeps the reason of a skip, and the place of a failure", async () => {
    assert.equal((await outcome("skip", 'test("a", { skip: "no engine" }, () => {});')).why, "no engine");
    const { why, output } = await outcome("fail", 'console.log("seen");\ntest("a", () => assert.equal(1, 2));');
    assert.match(why, /1 == 2[\s\S]*fail\.test\.mjs:4/);
    assert.match(output, /seen/);
  });

  test("a file that dies on the way has failed, whatever its exit code", async () => {
    const { lines, why } = await outcome("dies", 'test("a", () => {}); test("b", () => process.exit(0));');
    assert.equal(lines.at(-1), "failed the file as a whole");
    assert.match(why, /ended early: exit code 0/);
    assert.match((await outcome("throws", 'throw new Error("at once");')).why, /exit code 1|at once/);
  });

  test("a file whose exit code is bad has failed although its tests passed", async () => {
    const { lines, why } = await outcome(
      "code",
      'test("a", () => {}); process.on("exit", () => { process.exitCode = 3; });',
    );
    assert.deepEqual(lines, ["passed a", "failed the file as a whole"]);
    assert.match(why, /exit code 3/);
  });

  test("a suite whose own hook fails has failed", async () => {
    const { lines } = await outcome(
      "hook",
      'import { before } from "node:test";\ndescribe("a", () => { before(() => { throw new Error("x"); }); test("b", () => {}); });',
    );
    assert.ok(lines.length > 0 && lines.every((line) => line.startsWith("failed")), lines.join());
  });

  test("a file that keeps its process alive is ended, and says so", async () => {
    const { lines, why } = await outcome("lingers", 'test("a", () => {}); setInterval(() => {}, 1000);');
    assert.deepEqual(lines, ["passed a", "failed the file as a whole"]);
    assert.match(why, /something they left open/);
  });

  test("a file that never comes to an end is ended", async () => {
    const { why } = await outcome("hangs", 'test("a", () => new Promise((r) => setTimeout(r, 60_000)));');
    assert.match(why, /did not come to an end/);
  });

  test("ends the processes that a file started and left behind", async () => {
    const note = join(folder, "pid");
    await outcome(
      "leaves",
      `import { spawn } from "node:child_process"; import { writeFileSync } from "node:fs";
       test("a", () => {
         const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
         writeFileSync(${JSON.stringify(note)}, String(child.pid)); child.unref();
       });`,
    );
    const pid = Number(readFileSync(note, "utf8"));
    // Killed is not yet reaped: give the system a moment.
    for (let i = 0; i < 50 && alive(pid); i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(!alive(pid));
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("what is run", () => {
  const tree = new Map(
    ["src/cache/a.test.ts", "src/cache/b.ts", "test/placement.test.ts", "examples/a/a.test.ts", "bench/x.test.ts"].map(
      (path) => [path, ""],
    ),
  );

  test("all tests, those that take long first, or those below the given paths", () => {
    assert.deepEqual(testFiles(tree, []), ["test/placement.test.ts", "examples/a/a.test.ts", "src/cache/a.test.ts"]);
    assert.deepEqual(testFiles(tree, ["src/cache", "test/placement.test.ts"]), [
      "test/placement.test.ts",
      "src/cache/a.test.ts",
    ]);
  });

  test("a test's kind is told by its name and place", () => {
    const kinds = [
      "src/app/a.test-d.ts",
      "test/tidy.test.ts",
      "src/engines/redis/redis.test.ts",
      "src/gateway/sockets.test.ts",
      "src/cache/a.test.ts",
    ].map(kindOf);
    assert.deepEqual(kinds, ["type", "house rules", "conformance", "raw socket", "unit"]);
  });

  test("each expected compile error is one claim about types", () => {
    const claims = typeClaims(
      new Map([["src/a.test-d.ts", "// @ts-expect-error: x\nf();\n// @ts-expect-error: y\ng();"]]),
    );
    assert.equal(claims, 2);
  });

  test("a file of types alone need not run, any other must", () => {
    assert.ok(
      isTypeOnly(
        '/** x */\nimport type { A } from "./a.ts";\n\nexport interface B {\n  readonly c: A;\n}\nexport type D =\n  | "a"\n  | { b: 1 };\n',
      ),
    );
    assert.ok(!isTypeOnly("export interface B {}\nexport const c = 1;\n"));
    assert.ok(!isTypeOnly('import { a } from "./a.ts";\nexport type { a };\n'));
  });

  test("an engine is named as used, without its password, or as skipped, with the remedy", () => {
    const engines = new Map([
      ["scripts/engines/postgres.sh", ""],
      ["scripts/engines/redis.sh", ""],
    ]);
    const [, used, skipped] = describeEngines(engines, {
      PLINTH_TEST_POSTGRES_URL: "postgres://u:secret@127.0.0.1:55432/x",
    });
    assert.equal(used, "postgres: used, postgres://127.0.0.1:55432");
    assert.match(skipped ?? "", /redis: skipped, PLINTH_TEST_REDIS_URL is not set .*engines\.sh up redis/);
  });
});
