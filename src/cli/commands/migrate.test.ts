import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventMigrations } from "../../events/index.ts";
import { hello, repository, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-migrate-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const environment = { NODE_ENV: "test", PLINTH_DATA: folder };
const migrate = (...line: string[]) => run(["migrate", ...line, "--app", workshop], { environment });

test("migrate tells what is pending, applies it, and then finds nothing to do", async () => {
  const steps = eventMigrations.map(({ name }) => `events/${name}`);
  const plan = await migrate("--plan");
  assert.equal(plan.code, 0);
  assert.equal(plan.out, ["SERVICE  PENDING", ...steps.map((step) => `tools    ${step}`), ""].join("\n"));
  assert.deepEqual(JSON.parse((await migrate("--plan", "--json")).out), [
    { service: "tools", names: steps, steps: [] },
  ]);
  assert.match((await migrate()).out, /^SERVICE {2}APPLIED\ntools {4}events\/0001-outbox\n/);
  assert.deepEqual(await migrate(), { code: 0, out: "", err: "every service is up to date\n" });
  assert.deepEqual(JSON.parse((await migrate("--json")).out), [{ service: "tools", names: [] }]);
});

test("migrate makes the tables of the app's identity provider and of its API keys too", async () => {
  const signed = `${repository}src/cli/fixtures/signed/app.ts`;
  const made = (...line: string[]) => run(["migrate", ...line, "--app", signed], { environment });
  assert.match((await made("--plan")).out, /^identity provider {2}0001-provider$/m);
  const { out } = await made();
  assert.match(out, /^identity provider {2}0001-provider$/m);
  assert.match(out, /^API keys +0001-\S+$/m);
  assert.deepEqual(await made(), { code: 0, out: "", err: "every service is up to date\n" });
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

test("migrate --plan shows locks and findings, and production refuses what is an error in them", async () => {
  const place = mkdtempSync(join(tmpdir(), "plinth-migrate-lint-"));
  try {
    const migrations = join(place, "migrations");
    mkdirSync(migrations);
    const file = join(migrations, "0002-index.sql");
    writeFileSync(join(migrations, "0001-item.sql"), "create table item (id int primary key, tag text);\n");
    const text = `import { app, contract, database, service } from "${repository}src/index.ts";
      const store = contract("store", { methods: {} });
      const need = database({ migrations: new URL("./migrations/", import.meta.url) });
      export default app({ name: "lint", services: [service(store, { needs: { db: need }, methods: {} })] });`;
    writeFileSync(join(place, "app.mts"), text);
    const act = (mode: string, ...line: string[]) =>
      run(["migrate", ...line, "--app", join(place, "app.mts")], {
        environment: { NODE_ENV: mode, PLINTH_DATA: join(place, "data"), PLINTH_TOKEN_KEY: "k".repeat(64) },
      });
    assert.equal((await act("test")).code, 0);
    writeFileSync(file, "-- for searching\ncreate index item_tag on item (tag);\n");
    const plan = await act("test", "--plan");
    assert.equal(plan.code, 1);
    assert.match(plan.out, /store\/0002-index: item, SHARE, stops writes until the step ends/);
    assert.match(plan.out, /error: .*0002-index\.sql:2 \[create-index\] item: Building.*\n {2}Put it into a file/);
    const refused = await act("production");
    assert.equal(refused.code, 2);
    assert.match(refused.err, /0002-index\.sql:2 \[create-index\].*plinth-lint: allow/s);
    writeFileSync(
      file,
      "-- plinth-lint: allow create-index because it is small\ncreate index item_tag on item (tag);\n",
    );
    assert.equal((await act("test", "--plan")).code, 0);
    assert.match((await act("production")).out, /store +0002-index/);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
