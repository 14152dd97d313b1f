import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Process, startProcess } from "../process.fixture.ts";
import { hello, repository, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-dev-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "app.ts");
const source = readFileSync(hello, "utf8");
const environment = { PORT: "0", PLINTH_MANAGEMENT_PORT: "0", PLINTH_LOG: "silent" };

describe("dev", { concurrency: false }, () => {
  let dev: Process;
  let url = "";
  const greet = async () => ((await (await fetch(`${url}/hello/Ada`)).json()) as { greeting: string }).greeting;

  before(async () => {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(repository, join(folder, "node_modules/plinth"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    writeFileSync(file, source);
    dev = startProcess(["dev"], { cwd: folder, environment });
    [, url = ""] = await dev.find(
      /ready in \d+\.\d\d s · API (http:\S+) · reference http:\S+\/docs · probes and metrics http:\S+ · waiting for changes\n/,
    );
  });

  test("serves the app", async () => {
    assert.equal(await greet(), "Hello, Ada!");
  });

  test("runs it anew at a change, at the same port", async () => {
    writeFileSync(file, source.replace("Hello, ", "Good day, "));
    await dev.find(/ready in \d+\.\d\d s after app\.ts\n/);
    assert.equal(await greet(), "Good day, Ada!");
  });

  test("says what is wrong with an app that does not start, and waits for the next change", async () => {
    writeFileSync(file, `${source}\nlet x = ;`);
    await dev.find(/error: app\.ts: it cannot be loaded: .*\n.*app\.ts:\d+:\d+: ERROR: Unexpected ";"/);
    await dev.find(/the app ended \(exit code 2\); waiting for a change\n/);
    writeFileSync(file, source.replace("Hello, ", "Well again, "));
    await dev.find(/waiting for a change\nready in \d+\.\d\d s after app\.ts\n/);
    assert.equal(await greet(), "Well again, Ada!");
  });

  test("says when the app crashes, and waits for the next change", async () => {
    writeFileSync(file, `${source}\nsetTimeout(() => { throw new Error("late"); }, 300).unref();`);
    await dev.find(/the app ended \(exit code 1\); waiting for a change\n/);
    writeFileSync(file, source);
    await dev.find(/exit code 1\); waiting for a change\nready in /);
    assert.equal(await greet(), "Hello, Ada!");
  });

  test("stops the app with itself", async () => {
    assert.equal(await dev.end("SIGINT"), 0);
    await assert.rejects(fetch(url));
  });
});

test("dev refuses a folder without an app", async () => {
  const { code, err } = await run(["dev"], { cwd: mkdtempSync(join(folder, "empty-")) });
  assert.equal(code, 2);
  assert.match(err, /There is no app in /);
});
