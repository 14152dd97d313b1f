import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hello, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-migrate-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const environment = { NODE_ENV: "test", PLINTH_DATA: folder };
const migrate = (...line: string[]) => run(["migrate", ...line, "--app", workshop], { environment });

test("migrate tells what is pending, applies it, and then finds nothing to do", async () => {
  const steps = ["events/0001-outbox", "events/0002-inbox", "events/0003-dead-letters"];
  const plan = await migrate("--plan");
  assert.equal(plan.code, 0);
  assert.equal(plan.out, ["SERVICE  PENDING", ...steps.map((step) => `tools    ${step}`), ""].join("\n"));
  assert.deepEqual(JSON.parse((await migrate("--plan", "--json")).out), [{ service: "tools", names: steps }]);
  assert.match((await migrate()).out, /^SERVICE {2}APPLIED\ntools {4}events\/0001-outbox\n/);
  assert.deepEqual(await migrate(), { code: 0, out: "", err: "every service is up to date\n" });
  assert.deepEqual(JSON.parse((await migrate("--json")).out), [{ service: "tools", names: [] }]);
});

test("migrate refuses an app without a database", async () => {
  const { code, err } = await run(["migrate", "--app", hello], { environment });
  assert.equal(code, 2);
  assert.match(err, /No service of "hello" has a database; give one to a service with needs/);
});

test("migrate tells of a setting that is wrong", async () => {
  const { code, err } = await run(["migrate", "--app", workshop], { environment: { PORT: "eighty" } });
  assert.equal(code, 2);
  assert.match(err, /^error: PORT: "eighty" is not a port/);
});
