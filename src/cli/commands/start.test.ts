import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { newId } from "../../base/index.ts";
import engine from "../../engines/postgres/index.ts";
import { startProcess } from "../process.fixture.ts";
import { hello, repository, run, workshop } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-start-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const free = { PORT: "0", PLINTH_MANAGEMENT_PORT: "0", PLINTH_DATA: join(folder, "data"), PLINTH_LOG: "warn" };
const cwd = folder;
const groups = `${repository}src/cli/fixtures/groups.ts`;

const readText = async (url: string) => (await fetch(url)).text();

describe("start", () => {
  test("serves the app, its reference and its probes, says where and how long it took, and stops when asked", async () => {
    const app = startProcess(["start", "--app", hello], { cwd, environment: free });
    const [, url = ""] = await app.find(/API +(http:\/\/127\.0\.0\.1:\d+)\n/);
    const [, probes = ""] = await app.find(/probes and metrics +(http:\/\/127\.0\.0\.1:\d+)\n/);
    assert.match(app.text(), /^ready hello in \d+\.\d\d s\n/m);
    assert.match(app.text(), new RegExp(`reference +${url}/docs`));
    assert.equal(await readText(`${url}/hello/Ada`), '{"greeting":"Hello, Ada!"}');
    const docs = await fetch(`${url}/docs`);
    assert.equal(docs.headers.get("content-type"), "text/html; charset=utf-8");
    assert.match(await docs.text(), /<title>hello API/);
    assert.match(JSON.parse(await readText(`${url}/openapi.json`)).openapi, /^3\.1/);
    assert.equal((await fetch(`${probes}/readyz`)).status, 200);
    assert.equal(await app.end(), 0);
  });

  test("warns of a variable that nothing reads, and starts", async () => {
    const app = startProcess(["start", "--app", hello], { cwd, environment: { ...free, PLINTH_PROT: "1" } });
    await app.find(/API +(http:\S+)\n/);
    assert.match(app.text(), /warning PLINTH_PROT: it is set, and nothing reads it/);
    assert.equal(await app.end(), 0);
  });

  test("runs a service with the embedded database", async () => {
    const app = startProcess(["start", "--app", workshop], { cwd, environment: free });
    const [, url = ""] = await app.find(/API +(http:\S+)\n/);
    assert.equal(JSON.parse(await readText(`${url}/tools/saw`)).name, "Saw");
    assert.equal(await app.end("SIGINT"), 0);
  });

  test("takes the port from the command line, and refuses one in use by name", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const app = startProcess(["start", "--app", hello, "--port", String(port)], { cwd, environment: free });
    assert.equal(await app.ended, 2);
    server.close();
    assert.match(app.text(), new RegExp(`error: .*port ${port} .*in use`));
    assert.doesNotMatch(app.text(), /ready hello/);
  });

  test("leaves the reference out where the app says so", async () => {
    const app = startProcess(["start", "--app", groups], { cwd, environment: free });
    const [, url = ""] = await app.find(/API +(http:\S+)\n/);
    assert.doesNotMatch(app.text(), /reference/);
    assert.equal((await fetch(`${url}/docs`)).status, 404);
    assert.equal(await app.end(), 0);
  });
});

describe("start refuses, with exit code 2", () => {
  const refuse = (line: readonly string[], environment: Record<string, string> = {}) =>
    run(["start", ...line], { environment: { ...free, ...environment }, cwd });

  test("a group that there is not, naming those there are", async () => {
    const { code, err } = await refuse(["--app", groups, "--group", "fronnt"]);
    assert.equal(code, 2);
    assert.match(err, /There is no group "fronnt" in "pair"; its placement has "front", "back"/);
  });

  test("settings that are wrong, all of them", async () => {
    const { code, err } = await refuse(["--app", hello], { PORT: "x", PLINTH_TRACE: "2" });
    assert.equal(code, 2);
    assert.match(err, /error: PORT: .*\nerror: PLINTH_TRACE: /);
  });

  test("--split with --group or --workers", async () => {
    for (const other of [
      ["--group", "front"],
      ["--workers", "2"],
    ]) {
      const { code, err } = await refuse(["--app", groups, "--split", ...other]);
      assert.equal(code, 2);
      assert.match(err, /--split runs every group, each once; leave out --group and --workers/);
    }
  });

  test("--split of an app without a placement", async () => {
    const { code, err } = await refuse(["--app", hello, "--split"]);
    assert.equal(code, 2);
    assert.match(err, /start --split: "hello" has no placement to split by; add placement: \{/);
  });

  test("several processes on the embedded database, which lives in one", async () => {
    for (const [flags, what] of [
      [["--split"], "start --split"],
      [["--workers", "3"], "start --workers 3"],
    ] as const) {
      const { code, err } = await refuse(["--app", workshop, ...flags]);
      assert.equal(code, 2);
      assert.match(
        err,
        new RegExp(`${what}: "workshop" would run in several processes, and pglite, .*DATABASE_URL=postgres://`),
      );
    }
  });
});

describe("several processes", () => {
  const calls = async (url: string) => JSON.parse(await readText(`${url}/front`)) as { pid: number; back: number };

  test("--split runs each group in a process of its own, which find each other, and starts a crashed one again", async () => {
    const app = startProcess(["start", "--app", groups, "--split"], { cwd, environment: free });
    const [, url = ""] = await app.find(/^ {2}front\n +API +(http:\S+)\n/m);
    await app.find(/ready pair in \d+\.\d\d s, 2 processes\n/);
    assert.match(app.text(), /note: each process has a cache of its own, .*set CACHE_URL=redis:/);
    const { pid, back } = await calls(url);
    assert.equal(new Set([pid, back, app.child.pid]).size, 3);
    process.kill(back, "SIGKILL");
    await app.find(/note: back ended \(SIGKILL\); it is started again in 0\.5 s/);
    let again = 0;
    for (let i = 0; i < 600 && again === 0; i++) {
      await sleep(100);
      again = await calls(url).then(
        (answer) => answer.back ?? 0,
        () => 0,
      );
    }
    assert.ok(again > 0 && again !== back, app.text());
    assert.equal(await app.end(), 0);
    assert.throws(() => process.kill(again, 0), "its children have ended");
  });

  test("output comes by whole lines, with the name of the group", async () => {
    const app = startProcess(["start", "--app", groups, "--split"], {
      cwd,
      environment: { ...free, PLINTH_LOG: "info" },
    });
    await app.find(/^front \| \{.*"msg":"ready"\}$/m);
    await app.find(/^back {2}\| \{.*"msg":"ready"\}$/m);
    assert.equal(await app.end("SIGINT"), 0);
  });

  test("a group that is wrong ends all, with its exit code", async () => {
    const app = startProcess(["start", "--app", groups, "--split"], {
      cwd,
      environment: { ...free, BREAK_BACK: "1" },
    });
    assert.equal(await app.ended, 2);
    assert.match(app.text(), /back {2}\| error: .*the back is broken/);
    assert.match(app.text(), /error: back ended before it was ready \(exit code 2\)/);
  });

  test("children of a supervisor that was killed stop by themselves", async () => {
    const app = startProcess(["start", "--app", groups, "--split"], { cwd, environment: free });
    const [, url = ""] = await app.find(/^ {2}front\n +API +(http:\S+)\n/m);
    const { pid, back } = await calls(url);
    app.child.kill("SIGKILL");
    await app.ended;
    const isAlive = (id: number) => {
      try {
        return process.kill(id, 0);
      } catch {
        return false;
      }
    };
    for (let i = 0; i < 500 && (isAlive(pid) || isAlive(back)); i++) await sleep(20);
    assert.ok(!isAlive(pid) && !isAlive(back));
  });

  test("--workers runs as many processes behind one port, each with probes of its own", async () => {
    const app = startProcess(["start", "--app", groups, "--workers", "2"], { cwd, environment: free });
    const [, url = ""] = await app.find(/worker 1\n +API +(http:\S+)\n/);
    const [, second = ""] = await app.find(/worker 2\n +API +(http:\S+)\n/);
    assert.equal(url, second);
    const probes = [...app.text().matchAll(/probes and metrics +(\S+)/g)].map((match) => match[1]);
    assert.equal(new Set(probes).size, 2);
    const pids = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const answer = await fetch(`${url}/front`, { headers: { connection: "close" } });
      pids.add(((await answer.json()) as { pid: number }).pid);
    }
    assert.equal(pids.size, 2);
    assert.equal(await app.end(), 0);
  });
});

const postgres = process.env.PLINTH_TEST_POSTGRES_URL;

test("several workers share one Postgres", {
  skip: postgres ? false : 'PLINTH_TEST_POSTGRES_URL is not set: eval "$(scripts/engines.sh up postgres)"',
}, async () => {
  const driver = engine.ports.database?.(new URL(postgres ?? ""));
  assert.ok(driver);
  const name = `plinth_cli_${newId().replaceAll("-", "")}`;
  await driver.open();
  const administer = async (text: string) => {
    const session = await driver.acquire({ schema: "public", timeoutMs: 10_000 });
    await session.query(text, [], { timeoutMs: 30_000 });
    session.release();
  };
  await administer(`create database ${name}`);
  try {
    const url = new URL(postgres ?? "");
    url.pathname = `/${name}`;
    const app = startProcess(["start", "--app", workshop, "--workers", "2"], {
      cwd,
      environment: { ...free, DATABASE_URL: url.href },
    });
    const [, gateway = ""] = await app.find(/worker 2\n +API +(http:\S+)\n/);
    assert.equal(JSON.parse(await readText(`${gateway}/tools/saw`)).name, "Saw");
    assert.equal(await app.end(), 0);
  } finally {
    await administer(`drop database ${name} with (force)`);
    await driver.close();
  }
});
