import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTestApp, type TestApp } from "plinth/testing";
import { createManualClock } from "../../base/index.ts";
import { untilDelivered } from "../delivery.ts";
import workshopApp from "../fixtures/workshop/app.ts";
import { run, workshop } from "../terminal.fixture.ts";

const environment = { NODE_ENV: "test", DATABASE_URL: "pglite:memory:cli-call", PLINTH_LOG: "silent" };
const call = (...line: string[]) => run(["call", ...line, "--app", workshop], { environment });

describe("a call in this process", () => {
  test("prints the answer as JSON and ends with 0", async () => {
    const { code, out, err } = await call("tools.getTool", '{"id":"saw"}');
    assert.deepEqual({ code, err }, { code: 0, err: "" });
    assert.deepEqual(JSON.parse(out), { id: "saw", name: "Saw" });
  });

  test("is made as the app itself", async () => {
    assert.deepEqual(JSON.parse((await call("tools.whoAmI")).out), { subject: "workshop" });
  });

  test("prints a stream one item to a line", async () => {
    const { out } = await call("tools.listTools");
    assert.equal(out, '{"id":"saw","name":"Saw"}\n{"id":"axe","name":"Axe"}\n');
  });

  test("prints nothing for a method that answers nothing", async () => {
    assert.deepEqual(await call("tools.dropTool", '{"id":"saw"}'), { code: 0, out: "", err: "" });
  });

  test("reads the request from standard input for -", async () => {
    const line = ["call", "tools.getTool", "-", "--app", workshop];
    const { out } = await run(line, { environment, input: '{"id":"saw"}' });
    assert.equal(JSON.parse(out).id, "saw");
  });

  test("tells a failure on standard error and ends with 1", async () => {
    assert.deepEqual(await call("tools.getTool", '{"id":"axe"}'), {
      code: 1,
      out: "",
      err: 'error: There is no tool "axe". (not_found TOOL_UNKNOWN)\n',
    });
    assert.match(
      (await call("tools.getTool", '{"id":"bug"}')).err,
      /\(internal\)\n {2}because: the drawer is stuck\n$/,
    );
  });

  test("tells every field that is wrong", async () => {
    const { code, err } = await call("tools.getTool", `{"id":${JSON.stringify("x".repeat(30))}}`);
    assert.equal(code, 1);
    assert.match(err, /\/id .*\(invalid_argument VALIDATION_FAILED\)/);
  });

  test("gives a failure as problem details with --json", async () => {
    const { code, out, err } = await call("tools.getTool", '{"id":"axe"}', "--json");
    assert.deepEqual({ code, out }, { code: 1, out: "" });
    const { status, reason } = JSON.parse(err);
    assert.deepEqual({ status, reason }, { status: 404, reason: "TOOL_UNKNOWN" });
  });
});

describe("a call on the data folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-call-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const own = { NODE_ENV: "test", PLINTH_DATA: folder, PLINTH_LOG: "silent" };

  test("ends when what it caused is delivered", async () => {
    const line = ["call", "tools.breakTool", '{"id":"saw"}', "--app", workshop];
    assert.deepEqual(await run(line, { environment: own }), { code: 0, out: "", err: "" });
    const { out } = await run(["events", "dead", "list", "--app", workshop], { environment: own });
    assert.match(out, /TOOL_LOST/);
  });

  test("says where the app can be called when it has the folder open", async () => {
    // As if the process that runs this test had it open.
    const lock = join(folder, "database", "lock-1000");
    writeFileSync(lock, JSON.stringify({ pid: process.ppid, host: hostname() }));
    const call = (method: string) => run(["call", method, '{"id":"saw"}', "--app", workshop], { environment: own });
    const { code, err } = await call("tools.getTool");
    assert.equal(code, 2);
    assert.match(err, /is in use by process \d+/);
    assert.match(err, /If that is this app, .* plinth call tools\.getTool … --url http:\/\/127\.0\.0\.1:8080/);
    assert.match((await call("tools.breakTool")).err, /tools\.breakTool has no "http" route/);
  });

  test("names https there when the app speaks TLS", async (context) => {
    const [certificate, key] = [join(folder, "tls.crt"), join(folder, "tls.key")];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const files = ["-nodes", "-keyout", key, "-out", certificate];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    const made = spawnSync("openssl", ["req", "-x509", ...curve, ...files, ...names]);
    if (made.error) return context.skip("needs openssl");
    const secure = { ...own, PLINTH_TLS_CERT: certificate, PLINTH_TLS_KEY: key };
    const line = ["call", "tools.getTool", '{"id":"saw"}', "--app", workshop];
    assert.match((await run(line, { environment: secure })).err, /--url https:\/\/127\.0\.0\.1:8080/);
  });
});

test("waiting for delivery ends after 5 s, and tells what is left", async () => {
  const clock = createManualClock();
  const underWay = async () => [{ where: "outbox of tools", count: 2 }];
  const left = untilDelivered({ underWay, runSchedule: () => assert.fail() }, clock);
  for (let looks = 0; looks < 250; looks++) await clock.advance(25);
  assert.deepEqual(await left, ["2 in outbox of tools"]);
  const none = { underWay: async () => [], runSchedule: () => assert.fail() };
  assert.deepEqual(await untilDelivered(none, clock), []);
});

describe("a call of an app that runs", () => {
  let running: TestApp;
  before(async () => {
    running = await startTestApp(workshopApp);
  });
  after(() => running.stop());

  test("goes through the gateway, path parameters included", async () => {
    const { code, out } = await call("tools.getTool", '{"id":"saw"}', "--url", running.url);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), { id: "saw", name: "Saw" });
  });

  test("prints a stream one item to a line", async () => {
    const { out } = await call("tools.listTools", "--url", running.url);
    assert.equal(out, '{"id":"saw","name":"Saw"}\n{"id":"axe","name":"Axe"}\n');
  });

  test("tells what the gateway refused", async () => {
    const { code, err } = await call("tools.getTool", '{"id":"axe"}', "--url", running.url);
    assert.equal(code, 1);
    assert.match(err, /There is no tool "axe"\. \(not_found TOOL_UNKNOWN\)/);
    assert.match((await call("tools.whoAmI", "--url", running.url)).err, /unauthenticated/);
    assert.match((await call("tools.whoAmI", "--url", running.url, "--token", "nonsense")).err, /unauthenticated/);
  });

  test("needs a route", async () => {
    const { code, err } = await call("tools.breakTool", '{"id":"saw"}', "--url", running.url);
    assert.equal(code, 2);
    assert.match(err, /tools\.breakTool has no "http" route.*call it without --url/);
  });
});

describe("a call is refused before anything starts", () => {
  test("when there is no such method, naming the one that was meant", async () => {
    const { code, err } = await call("tools.getTol");
    assert.equal(code, 2);
    assert.match(err, /there is no "tools\.getTol" in "workshop"\. Did you mean "tools\.getTool"\?/);
    assert.match((await call("xyzzy")).err, /The app has tools\.getTool, tools\.listTools/);
  });

  test("when the request is no JSON", async () => {
    const { code, err } = await call("tools.getTool", "{id}");
    assert.equal(code, 2);
    assert.match(err, /REQUEST: it is no JSON \(.*\); write for example '\{"id":"1"\}'\./);
  });

  test("when the method is raw", async () => {
    const { code, err } = await call("tools.takeFile");
    assert.equal(code, 2);
    assert.match(err, /raw HTTP, which no schema describes; call it with curl: -X POST …\/files/);
  });

  test("when the address is none", async () => {
    const { code, err } = await call("tools.getTool", '{"id":"saw"}', "--url", "nowhere");
    assert.equal(code, 2);
    assert.match(err, /"nowhere" is no address/);
  });
});
