import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { repository, run } from "../terminal.fixture.ts";

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
      [["app", "memory"], /"app": that cannot be verified; write plinth verify engine URL, or plinth verify access/],
      [["engine"], /engine: which one\? Write plinth verify engine URL/],
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

describe("verify access", () => {
  const shop = join(repository, "examples/shop");
  const access = (...line: string[]) => run(["verify", "access", ...line], { cwd: shop });

  test("asks every method of the shop with every credential, and finds none open that should be shut", async () => {
    const { code, out, err } = await access("--samples", "access-samples.ts", "--json");
    assert.equal(err, "");
    const { verdict, rows } = JSON.parse(out);
    assert.deepEqual([code, verdict.valid, verdict.findings], [0, true, []]);
    assert.ok(verdict.counts.methods >= 28 && rows.length > 300, `${rows.length} requests`);
  });

  test("tells what it cannot know without samples, and that is no success", async () => {
    const place = join(folder, "notes.mts");
    writeFileSync(
      place,
      `import { app, contract, method, resource, service } from "${repository}src/index.ts";
      const note = resource()("note");
      const access = { resource: note, can: () => false };
      const notes = contract("notes", { methods: { show: method({ http: "GET /note", access }) } });
      const resources = { note: () => ({}) };
      export default app({ name: "notes", services: [service(notes, { resources, methods: { async show() {} } })] });`,
    );
    const { code, out } = await run(["verify", "access", "--app", place]);
    assert.equal(code, 1);
    assert.match(out, /^CREDENTIAL +ASKED +REFUSED +WRONG\nno token +1 +1 +0\n/);
    assert.match(out, /not known: notes\.show: its rule is about an object, and there is no sample of one/);
    assert.match(out, /requests: not known\n$/);
  });

  test("refuses a file of samples that is none", async () => {
    writeFileSync(join(folder, "none.mjs"), "export default 5;");
    for (const [file, pattern] of [
      ["nowhere.ts", /--samples nowhere\.ts: it cannot be loaded/],
      [join(folder, "none.mjs"), /its default export is no samples; export/],
    ] as const) {
      const { code, err } = await access("--samples", file);
      assert.equal(code, 2);
      assert.match(err, pattern);
    }
  });
});
