import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import pglite from "../../engines/pglite/index.ts";
import { generateTokenSecret } from "../../identity/index.ts";
import type { Report } from "../doctor.ts";
import { nodeFinding } from "../doctor.ts";
import { freePorts } from "../ports.ts";
import { hello, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-doctor-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const free = { NODE_ENV: "test", PORT: "0", PLINTH_MANAGEMENT_PORT: "0", PLINTH_DATA: join(folder, "data") };

async function doctor(environment: Record<string, string>, app = workshop, cwd = folder) {
  const { code, out } = await run(["doctor", "--json", "--app", app], {
    environment: { ...free, ...environment },
    cwd,
  });
  const report = JSON.parse(out) as Report;
  const find = (what: string) =>
    report.findings.filter((finding) => finding.what === what).map(({ level, text }) => `${level}: ${text}`);
  return { code, report, find };
}

test("all is well: Node, app, ports, an embedded database that the first start makes", async () => {
  const { code, report, find } = await doctor({});
  assert.equal(code, 0);
  assert.deepEqual(find("app"), ["ok: workshop 1.2.3, 1 service with 6 methods"]);
  assert.match(find("database")[0] ?? "", /^ok: embedded; the first start makes it in /);
  assert.ok(report.findings.every(({ level }) => level === "ok"));
  assert.ok(!existsSync(free.PLINTH_DATA), "it changed nothing");
});

test("settings are shown with what is set, secrets as set", async () => {
  const { report } = await doctor({ PLINTH_RPC_SECRET: "a very secret secret", PLINTH_LOG: "warn" });
  const byName = new Map(report.settings.map((setting) => [setting.variable, setting]));
  assert.equal(byName.get("PLINTH_RPC_SECRET")?.value, "set");
  assert.equal(byName.get("PLINTH_LOG")?.value, "warn");
  assert.deepEqual(
    [byName.get("HOST")?.value, byName.get("HOST")?.isSet, byName.get("CACHE_URL")?.value],
    ["127.0.0.1", false, null],
  );
  const { out } = await run(["doctor", "--app", hello], {
    environment: { ...free, PLINTH_RPC_SECRET: "a very secret secret" },
  });
  assert.doesNotMatch(out, /a very secret/);
  assert.match(out, /^ok {4}Node {2,}\d+/m);
  assert.match(out, /^PLINTH_RPC_SECRET +set +/m);
  assert.match(out, /^HOST +127\.0\.0\.1 \(default\) /m);
});

test("a variable that nothing reads is a warning, with the one that was probably meant", async () => {
  const { code, find } = await doctor({ PLINTH_LGO: "warn", PLINTH_NONSENSE_OF_MINE: "1", PLINTH_TEST_REDIS_URL: "x" });
  assert.equal(code, 0);
  assert.deepEqual(find("settings"), [
    "warn: PLINTH_LGO: it is set, and nothing reads it; did you mean PLINTH_LOG?",
    "warn: PLINTH_NONSENSE_OF_MINE: it is set, and nothing reads it",
  ]);
});

test("what .env sets is set", async () => {
  const place = mkdtempSync(join(folder, "env-"));
  writeFileSync(join(place, ".env"), "PLINTH_LOG=error\n");
  const { report } = await doctor({}, workshop, place);
  assert.equal(report.settings.find(({ variable }) => variable === "PLINTH_LOG")?.value, "error");
});

test("pending migrations are told: a warning where a start applies them, a failure where not", async () => {
  const data = { PLINTH_DATA: join(folder, "pending") };
  const driver = pglite.ports.database?.(new URL(`pglite:${data.PLINTH_DATA}/database`));
  assert.ok(driver);
  await driver.open();
  await driver.close();
  const start = await doctor(data);
  assert.equal(start.code, 0);
  assert.match(start.find("migrations")[0] ?? "", /^warn: \d+ pending: tools events\/0001-outbox, .*plinth migrate\.$/);
  const never = await doctor({ ...data, PLINTH_MIGRATE: "false" });
  assert.equal(never.code, 1);
  assert.match(never.find("migrations")[0] ?? "", /^fail: \d+ pending: .*; run plinth migrate\.$/);
  await run(["migrate", "--app", workshop], { environment: { ...free, ...data } });
  assert.deepEqual((await doctor(data)).find("migrations"), ["ok: every service is up to date"]);
});

test("a port in use is a warning that names the setting; one that cannot be had is a failure", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const [other] = await freePorts(1);
  const { code, find } = await doctor({ PORT: String(port), PLINTH_MANAGEMENT_PORT: String(other) });
  server.close();
  assert.equal(code, 0);
  assert.deepEqual(find("port"), [
    `warn: PORT: ${port} on 127.0.0.1 is in use; if not by this app, set PORT to another.`,
    `ok: PLINTH_MANAGEMENT_PORT: ${other} on 127.0.0.1 is free`,
  ]);
  const wrong = await doctor({ PORT: String(other), HOST: "192.0.2.1" });
  assert.equal(wrong.code, 1);
  assert.match(wrong.find("port")[0] ?? "", /^fail: PORT: .* cannot be listened on \(EADDRNOTAVAIL\)/);
});

test("an engine that does not answer is a failure with the setting's name", async () => {
  const [nobody] = await freePorts(1);
  const { code, find } = await doctor({ DATABASE_URL: `postgres://a:b@127.0.0.1:${nobody}/c` });
  assert.equal(code, 1);
  assert.match(find("database")[0] ?? "", /^fail: /);
  const unknown = await doctor({ DATABASE_URL: "oracle://host/name" });
  assert.equal(unknown.code, 1);
  assert.match(
    [...unknown.find("engines"), ...unknown.find("start")].join("\n"),
    /DATABASE_URL: no engine serves "oracle:\/\/"/,
  );
});

test("a cache is in memory, or answers, or is a failure with the setting's name", async () => {
  const groups = join(import.meta.dirname, "../fixtures/groups.ts");
  const memory = await doctor({}, groups);
  assert.deepEqual(memory.find("cache"), ["ok: in the memory of each process (CACHE_URL is not set)"]);
  assert.equal(memory.find("port").length, 3, "a group is called at a port of its own");
  const [nobody] = await freePorts(1);
  const silent = await doctor({ CACHE_URL: `redis://127.0.0.1:${nobody}` }, groups);
  assert.equal(silent.code, 1);
  assert.match(silent.find("cache")[0] ?? "", /^fail: CACHE_URL: /);
  const redis = process.env.PLINTH_TEST_REDIS_URL;
  if (redis) assert.deepEqual((await doctor({ CACHE_URL: redis }, groups)).find("cache"), ["ok: CACHE_URL answers"]);
});

test("everything wrong is told at once: settings, and an app that is not there", async () => {
  const { code, find } = await doctor({ PORT: "x", PLINTH_LOG: "loud" }, "gone.ts");
  assert.equal(code, 1);
  assert.equal(find("settings").length, 2);
  assert.match(find("app")[0] ?? "", /fail: --app gone\.ts: there is no such file/);
});

test("what a start in production would refuse is told before", async () => {
  const { code, find } = await doctor({ NODE_ENV: "production" });
  assert.equal(code, 1);
  assert.match(find("start")[0] ?? "", /^fail: PLINTH_TOKEN_KEY: it is not set/);
});

test("the embedded database in production is a warning, with what it does not survive", async () => {
  const { find } = await doctor({ NODE_ENV: "production", PLINTH_TOKEN_KEY: generateTokenSecret() });
  assert.match(find("database")[0] ?? "", /^warn: embedded.*does not survive a loss of power: set DATABASE_URL/);
});

test("a Node that is too old is a failure", () => {
  assert.equal(nodeFinding("20.19.0").level, "ok");
  assert.equal(nodeFinding("22.1.0").level, "ok");
  for (const version of ["20.18.3", "18.20.0"]) {
    assert.match(nodeFinding(version).text, /is too old; install Node 20\.19 or later/);
  }
});
