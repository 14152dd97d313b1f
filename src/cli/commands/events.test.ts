import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestApp } from "plinth/testing";
import { createDatabase } from "../../database/index.ts";
import pglite from "../../engines/pglite/index.ts";
import workshopApp from "../fixtures/workshop/app.ts";
import { tools } from "../fixtures/workshop/tools.ts";
import { hello, type RunOptions, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-dead-"));
const url = `pglite:${folder}/database`;
const environment = { NODE_ENV: "test", DATABASE_URL: url };
after(() => rmSync(folder, { recursive: true, force: true }));

const dead = (line: readonly string[], options: RunOptions = {}) =>
  run(["events", "dead", ...line, "--app", workshop], { environment, ...options });
const list = async (): Promise<{ id: string; service: string; error: { reason: string }; replaying: boolean }[]> =>
  JSON.parse((await dead(["list", "--json"])).out);

before(async () => {
  const running = await startTestApp(workshopApp, { environment });
  for (const id of ["saw", "axe", "file"]) await running.client(tools).breakTool({ id });
  await running.stop();
  for (let i = 0; i < 50 && (await countDead()) < 3; i++) {
    const again = await startTestApp(workshopApp, { environment });
    await sleep(200);
    await again.stop();
  }
});

async function countDead(): Promise<number> {
  const driver = pglite.ports.database?.(new URL(url));
  assert.ok(driver);
  await driver.open();
  try {
    const database = createDatabase({ driver, schema: "tools" });
    const [row] = await database.sql<{ count: number }>`select count(*)::int as count from plinth_dead_letters`;
    return row?.count ?? 0;
  } finally {
    await driver.close();
  }
}

test("list shows what failed, where and why", async () => {
  const { code, out } = await dead(["list"]);
  assert.equal(code, 0);
  assert.match(out, /^ID +SUBSCRIPTION +EVENT +TRIES +LAST FAILED +ERROR\n/);
  assert.match(out, /tools\.mend +tools\.ToolBroken +1 +\d{4}-.* +TOOL_LOST: Nobody can mend "saw"\./);
  const letters = await list();
  assert.deepEqual(
    letters.map(({ service, error }) => [service, error.reason]),
    Array(3).fill(["tools", "TOOL_LOST"]),
  );
});

test("show prints one with its payload, or several as a list", async () => {
  const [one, other] = await list();
  const shown = JSON.parse((await dead(["show", one?.id ?? ""])).out);
  assert.equal(shown.id, one?.id);
  assert.deepEqual(JSON.parse(shown.message.payload ?? JSON.stringify(shown.message)), { id: "saw" });
  assert.equal(JSON.parse((await dead(["show", one?.id ?? "", other?.id ?? ""])).out).length, 2);
});

test("replay marks it for the service to take up", async () => {
  const [one] = await list();
  const { code, out, err } = await dead(["replay", one?.id ?? ""]);
  assert.deepEqual({ code, out }, { code: 0, out: "" });
  assert.match(err, /asked for the replay of 1/);
  assert.deepEqual(
    (await list()).map(({ replaying }) => replaying),
    [true, false, false],
  );
  assert.match((await dead(["list"])).out, / replaying /);
  assert.deepEqual(JSON.parse((await dead(["replay", "--all", "--json"])).out), { replayed: 2 });
});

test("discard asks a person first, and takes nothing but yes for it", async () => {
  const [one] = await list();
  const no = await dead(["discard", one?.id ?? ""], { answer: "" });
  assert.deepEqual(no, { code: 0, out: "", err: "nothing was discarded\n" });
  const yes = await dead(["discard", one?.id ?? ""], { answer: "y" });
  assert.deepEqual(yes, { code: 0, out: "", err: "discarded 1\n" });
  assert.equal((await list()).length, 2);
});

test("discard without anybody to ask needs --yes", async () => {
  const [one] = await list();
  const { code, err } = await dead(["discard", one?.id ?? ""]);
  assert.equal(code, 2);
  assert.match(err, /Give up 1 for good\? There is nobody to ask here; say so with --yes\./);
  assert.equal((await list()).length, 2);
});

test("discard --all --yes leaves none", async () => {
  assert.deepEqual(JSON.parse((await dead(["discard", "--all", "--yes", "--json", "--service", "tools"])).out), {
    discarded: 2,
  });
  assert.deepEqual(await dead(["list"]), { code: 0, out: "", err: "there are no dead letters\n" });
  assert.deepEqual(await dead(["discard", "--all"]), { code: 0, out: "", err: "discarded 0\n" });
});

test("refuses what there is not, and says what there is", async () => {
  const id = "0190c7b2-7c5d-7000-8000-2f9b1c0e1a11";
  for (const [line, says] of [
    [["show", id], /there is no dead letter "0190c7b2.*events dead list shows/],
    [["replay", "nonsense"], /there is no dead letter "nonsense"/],
    [["show"], /ID is missing: name the dead letters to show; /],
    [["replay"], /ID is missing: name the dead letters to replay, or --all;/],
    [["lits"], /"events dead lits" is nothing.*Did you mean plinth events dead list\?/],
    [["list", "--service", "tool"], /--service tool: no service of that name has subscriptions; there is tools\./],
  ] as const) {
    const { code, err } = await dead(line);
    assert.equal(code, 2, err);
    assert.match(err, says);
  }
  const other = await run(["events", "alive", "list", "--app", workshop], { environment });
  assert.match(other.err, /"events alive list" is nothing/);
  const without = await run(["events", "dead", "list", "--app", hello], { environment });
  assert.match(without.err, /No service of "hello" has a database/);
});
