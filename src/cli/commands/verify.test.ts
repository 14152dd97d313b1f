import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-verify-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const verify = (...line: string[]) => run(["verify", ...line], { cwd: folder });

describe("verify engine", () => {
  test("prints port, case and outcome, then the guarantee and the sums, and ends with 0", async () => {
    const { code, out, err } = await verify("engine", "memory", "--port", "cache", "--only", "fence");
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /^passed {3}cache {5}gives the value where there is one, and a fence.* \(\d+ ms\)\n/);
    assert.match(out, /\nguarantee: nothing: it is gone with the process\nmemory: \d+ passed, 0 failed, 0 skipped\n$/);
  });

  test("tells why a case was skipped", async () => {
    const { out } = await verify("engine", "memory", "--only", "every process ends");
    assert.match(
      out,
      /^skipped {2}broker {4}keeps what was published.*\n {9}this broker does not have the flag durable\n/,
    );
  });

  test("ends with 1 when a case fails, and says how", async () => {
    // It waits for longer than a second on purpose.
    const { code, out } = await verify("engine", "memory", "--only", "a delivery that takes long", "--timeout", "1");
    assert.equal(code, 1);
    assert.match(out, /^failed {3}broker {4}keeps a delivery.*\n {9}it took more than 1000 ms\n/);
    assert.match(out, /memory: 0 passed, 1 failed, 0 skipped\n$/);
  });

  test("--json is the report and nothing else", async () => {
    const { code, out } = await verify("engine", "memory", "--only", "fence", "--json");
    const report = JSON.parse(out);
    assert.deepEqual([code, report.engine, report.cases[0].outcome], [0, "memory", "passed"]);
  });

  test("--record puts all outcomes beside those of other engines, without times", async () => {
    writeFileSync(join(folder, "results.json"), '{"zebra":{"guarantee":"none","ports":{}}}');
    const { code, err } = await verify("engine", "memory", "--record", "results.json");
    assert.deepEqual([code, err], [0, "recorded memory in results.json\n"]);
    const results = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
    assert.deepEqual(Object.keys(results), ["memory", "zebra"]);
    const { broker, cache } = results.memory.ports;
    assert.equal(
      broker["keeps what was published when every process ends"],
      "skipped: this broker does not have the flag durable",
    );
    assert.ok(Object.values(cache).every((outcome) => outcome === "passed"));
  });

  test("refuses what cannot be verified, a record of a part, and a record that is none", async () => {
    const wrong: [string[], RegExp][] = [
      [["app", "memory"], /"app": only an engine can be verified; write plinth verify engine URL/],
      [["engine"], /URL is missing/],
      [["engine", "nowhere"], /no engine serves this/],
      [["engine", "memory", "--record", "a.json", "--only", "x"], /leave out --port and --only/],
      [["engine", "memory", "--port", "lease"], /memory serves no lease/],
    ];
    for (const [line, pattern] of wrong) {
      const { code, err } = await verify(...line);
      assert.equal(code, 2);
      assert.match(err, pattern);
    }
    writeFileSync(join(folder, "damaged.json"), "{");
    assert.match((await verify("engine", "memory", "--record", "damaged.json")).err, /it is no record of results/);
  });
});
