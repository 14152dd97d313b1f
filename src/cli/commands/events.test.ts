import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestApp } from "plinth/testing";
import type { Database } from "../../database/index.ts";
import { createDatabase } from "../../database/index.ts";
import pglite from "../../engines/pglite/index.ts";
import workshopApp from "../fixtures/workshop/app.ts";
import { tools } from "../fixtures/workshop/tools.ts";
import { hello, type RunOptions, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-dead-"));
const url = `pglite:${folder}/database`;
const environment = { NODE_ENV: "test", DATABASE_URL: url };
after(() => rmSync(folder, { recursive: true, force: true }));

const from = new Date(Date.now() - 3_600_000).toISOString();
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

const events = (line: readonly string[], options: RunOptions = {}) =>
  run(["events", ...line, "--app", workshop], { environment, ...options });

/** On an open database, which no app has. */
async function within<R>(schema: string, work: (database: Database) => Promise<R>): Promise<R> {
  const driver = pglite.ports.database?.(new URL(url));
  assert.ok(driver);
  await driver.open();
  try {
    return await work(createDatabase({ driver, schema }));
  } finally {
    await driver.close();
  }
}

const unreplay = () => within("tools", (database) => database.sql`update plinth_dead_letters set replay_at = null`);

async function countDead(): Promise<number> {
  return within("tools", async (database) => {
    const [row] = await database.sql<{ count: number }>`select count(*)::int as count from plinth_dead_letters`;
    return row?.count ?? 0;
  });
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
  const asked = await dead(["replay", "--all"], { answer: "n" });
  assert.deepEqual(asked, { code: 0, out: "", err: "nothing was replayed\n" });
  assert.match((await dead(["replay", "--all"])).err, /Have all 3 handled again\? There is nobody to ask/);
  assert.deepEqual(JSON.parse((await dead(["replay", "--all", "--yes", "--json"])).out), { replayed: 2 });
});

test("edit gives one another payload that its schema takes, and the audit says who did it", async () => {
  const [one] = await list();
  const id = one?.id ?? "";
  const busy = await dead(["edit", id, "--payload", '{"id":"x"}']);
  assert.match(busy.err, /is being replayed: change it when that is over/);
  await unreplay();
  const by = ["--as", "ada", "--reason", "a typo"];
  const { code, err } = await dead(["edit", id, "--payload", "-", ...by], { input: '{ "id": "new" }\n' });
  assert.equal(code, 1);
  const key = /The key of an event cannot change: it is "(\w+)"/.exec(err)?.[1];
  const done = await dead(["edit", id, "--payload", JSON.stringify({ more: 1, id: key }), ...by]);
  assert.deepEqual(done, { code: 0, out: "", err: "edited 1; replay has it handled.\n" });
  assert.equal(JSON.parse((await dead(["show", id])).out).message.payload, JSON.stringify({ id: key }));
  const audit = await events(["audit"]);
  assert.match(audit.out, /^WHEN +WHO +WHAT +OF +PAYLOAD +WHY\n/);
  assert.match(audit.out, new RegExp(`ada +dead letter edited +${id} +[0-9a-f]{16} +a typo`));
  assert.match(audit.out, /dead letter replayed/);
  const entries = JSON.parse((await events(["audit", "--json", "--service", "tools"])).out);
  assert.equal(entries[0].action, "dead letter edited");
  for (const [line, says] of [
    [["edit"], /ID: give the one dead letter to edit/],
    [["edit", id], /--payload is missing/],
    [["edit", id, "--payload", "{"], /This payload would not be understood/],
  ] as const) {
    assert.match((await dead(line)).err, says);
  }
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

test("subscriptions shows what waits, and retires what no service has any more", async () => {
  await within("plinth_broker", async (database) => {
    await database.sql`insert into subscriptions (subscription, type) values ('tools.old', 'tools.ToolBroken')`;
    await database.sql`insert into deliveries (subscription, seq, source, key) select 'tools.old', seq, source, key from messages`;
  });
  const { code, out } = await events(["subscriptions"]);
  assert.equal(code, 0);
  assert.match(out, /^SUBSCRIPTION +WAITING +OLDEST +PARKED KEYS\n/);
  assert.match(out, /tools\.mend +0 +0\n/);
  assert.match(out, /tools\.old +3 +\d+ s +0 +no service has it: plinth events subscriptions retire tools\.old/);
  const [mend, old] = JSON.parse((await events(["subscriptions", "list", "--json"])).out);
  assert.deepEqual([mend.retired, old.retired, old.pendingCount], [false, true, 3]);
  for (const [line, says] of [
    [["retire"], /NAME: give the one subscription to retire/],
    [["retire", "tools.mend"], /belongs to a service of this app/],
    [["retire", "tools.odl"], /knows no subscription "tools\.odl"; there is tools\.old/],
    [["retire", "tools.old"], /Forget tools\.old, with 3 events that it has not seen\? There is nobody to ask/],
  ] as const) {
    const refused = await events(["subscriptions", ...line]);
    assert.equal(refused.code, 2);
    assert.match(refused.err, says);
  }
  const no = await events(["subscriptions", "retire", "tools.old"], { answer: "n" });
  assert.equal(no.err, "nothing was retired\n");
  const yes = await events(["subscriptions", "retire", "tools.old", "--yes"]);
  assert.deepEqual(yes, { code: 0, out: "", err: "retired tools.old; 3 events were never delivered to it\n" });
  assert.doesNotMatch((await events(["subscriptions"])).out, /tools\.old/);
  assert.match((await events(["audit"])).out, /subscription retired +tools\.old/);
});

test("subscriptions shows an event that one listens to no more, and retires that alone", async () => {
  await within("plinth_broker", async (database) => {
    await database.sql`insert into subscriptions (subscription, type) values ('tools.mend', 'tools.ToolBent')`;
  });
  assert.match(
    (await events(["subscriptions"])).out,
    /tools\.mend .* listens no more to tools\.ToolBent, last asked for \d{4}-.*: plinth events subscriptions retire tools\.mend --type tools\.ToolBent\n/,
  );
  const [mend] = JSON.parse((await events(["subscriptions", "--json"])).out);
  assert.deepEqual([mend.retired, mend.staleTypes.length], [false, 1]);
  for (const [type, says] of [
    ["tools.ToolBroken", /--type tools\.ToolBroken: "tools\.mend" listens to it in this app/],
    ["tools.ToolBend", /gets no such event; it gets tools\.ToolBent/],
  ] as const) {
    const refused = await events(["subscriptions", "retire", "tools.mend", "--type", type, "--yes"]);
    assert.equal(refused.code, 2);
    assert.match(refused.err, says);
  }
  const done = await events(["subscriptions", "retire", "tools.mend", "--type", "tools.ToolBent", "--yes"]);
  assert.equal(done.err, "retired tools.ToolBent of tools.mend; 0 events were never delivered to it\n");
  assert.match((await events(["subscriptions"])).out, /tools\.mend +0 +0\n/);
});

test("replay plans, and then puts events before their subscription again", async () => {
  const line = ["replay", "--subscription", "tools.mend", "--from", from];
  const plan = await events([...line, "--plan"]);
  assert.match(plan.err, /^would deliver 3; 0 wait anyway; messages are kept since \d{4}-/);
  assert.equal(
    JSON.parse((await events([...line, "--plan", "--json", "--type", "tools.ToolBroken"])).out).messageCount,
    3,
  );
  const { code, err } = await events([...line, "--as", "grace", "--reason", "after the repair"]);
  assert.deepEqual({ code, err }, { code: 0, err: "3 will be delivered again; what was handled is let go\n" });
  assert.deepEqual(JSON.parse((await events([...line, "--json"])).out), { replayed: 0 }, "they wait already");
  assert.match(
    (await events(["audit"])).out,
    /grace +subscription replayed +tools\.mend +after the repair; \{"subscription"/,
  );
  const again = await events([...line, "--again"], { answer: "n" });
  assert.deepEqual(again, { code: 0, out: "", err: "nothing was replayed\n" });
  assert.match(
    (await events([...line, "--again"])).err,
    /Run again what tools\.mend has handled since .* nobody to ask/,
  );
  const early = await events([...line.slice(0, 4), "2020-01-01T00:00:00Z"]);
  assert.match(early.err, /consumers remember what they handled since \d{4}-/);
  for (const [wrong, says] of [
    [["replay"], /--subscription is missing.*\n.*--from is missing/],
    [[...line.slice(0, 4), "yesterday"], /"yesterday" is no time/],
    [[...line, "--type", "tools.ToolBrokn"], /there is no such event; there is tools\.ToolBroken/],
    [["replay", "--subscription", "tools.mnd", "--from", from], /there is tools\.mend/],
  ] as const) {
    const refused = await events(wrong);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, says);
  }
});
