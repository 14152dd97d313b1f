/** What a process promises from its start to its end: its client, its handler, its key, what a failed start leaves. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createManualClock, isError, StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, database, method, service, stream } from "../service/index.ts";
import { app } from "./app.ts";
import { migrationComponent } from "./components.ts";
import { createRuntime } from "./runtime.ts";
import { sampleApp } from "./sample.fixture.ts";
import type { Settings } from "./settings.ts";
import type { Stores } from "./stores.ts";
import { startTestApp } from "./testing.ts";
import { developmentTokenKey } from "./token-key.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-lifetime-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const environment = { NODE_ENV: "test", PLINTH_LOG: "silent", DATABASE_URL: "pglite:memory:lifetime" };
const free = { port: 0, managementPort: 0, rpcPort: 0, dataFolder: folder };

const slow = contract("slow", {
  methods: {
    nap: method({ request: t.Object({ ms: t.Integer() }), access: "public", deadline: "1m" }),
    doze: method({ request: t.Object({ ms: t.Integer() }), access: "public" }),
    ticks: stream({ item: t.Object({ n: t.Integer() }), access: "public", deadline: "1h" }),
  },
});

function slowApp(clock: ReturnType<typeof createManualClock>) {
  const methods = {
    nap: ({ ms }: { ms: number }) => clock.sleep(ms),
    doze: ({ ms }: { ms: number }) => clock.sleep(ms),
    async *ticks() {
      for (let n = 0; n < 3; n++) {
        await clock.sleep(60_000);
        yield { n };
      }
    },
  };
  return app({ name: "slow", services: [service(slow, { methods })] });
}

test("the client gives each call the time of its method or its options, on the clock of the process", async () => {
  const clock = createManualClock();
  const runtime = await createRuntime(slowApp(clock), { environment, settings: free, clock, management: false });
  await runtime.start();
  const client = runtime.client(slow);
  const nap = client.nap({ ms: 30_000 });
  await clock.advance(30_000);
  await nap;
  const longer = client.doze({ ms: 20_000 }, { deadline: "30s" });
  await clock.advance(20_000);
  await longer;
  const late = assert.rejects(client.doze({ ms: 20_000 }), (thrown) => isError(thrown, "deadline_exceeded"));
  await clock.advance(5100);
  await late;
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { n } of client.ticks()) seen.push(n);
  })();
  for (let i = 0; i < 3; i++) await clock.advance(60_000);
  await reading;
  assert.deepEqual(seen, [0, 1, 2]);
  assert.equal((client as Readonly<Record<string, unknown>>).nothing, undefined);
  await runtime.stop();
});

test("a handler that is mounted refuses before the start and after the end, and what runs has its database till it is over", async () => {
  const order: string[] = [];
  const desk = contract("desk", {
    methods: { ask: method({ http: "GET /ask", response: t.Object({ n: t.Integer() }), access: "public" }) },
  });
  const definition = app({
    name: "desk",
    services: [
      service(desk, {
        needs: { db: database() },
        methods: {
          async ask(_request, { db }) {
            order.push("begun");
            await sleep(150);
            const rows = await db.sql<{ n: number }>`select 1 as n`;
            order.push("answered");
            return rows[0] as { n: number };
          },
        },
      }),
    ],
  });
  const runtime = await createRuntime(definition, { environment, settings: free, listen: false, management: false });
  const outer = createServer((req, res) => runtime.handler?.(req, res));
  // The start may take longer than node keeps an idle connection, which would then end under the next request.
  outer.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => outer.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(outer.address() as AddressInfo).port}/ask`;
  try {
    const early = await fetch(url);
    assert.deepEqual([early.status, early.headers.get("retry-after")], [503, "1"]);
    await runtime.start();
    const running = fetch(url);
    while (order.length === 0) await sleep(5);
    const stopped = runtime.stop().then(() => order.push("stopped"));
    const answer = await running;
    assert.deepEqual([answer.status, await answer.json()], [200, { n: 1 }]);
    await stopped;
    assert.deepEqual(order, ["begun", "answered", "stopped"]);
    assert.equal((await fetch(url)).status, 503);
  } finally {
    outer.close();
    outer.closeAllConnections();
  }
});

test("the development key is one for all who start at once, whole, and its owner's alone", async () => {
  const place = join(folder, "keys");
  const keys = await Promise.all(Array.from({ length: 8 }, () => developmentTokenKey(place)));
  assert.equal(new Set(keys).size, 1);
  assert.match(keys[0] as string, /END PRIVATE KEY/);
  assert.equal(await developmentTokenKey(place), keys[0]);
  assert.deepEqual(readdirSync(place), ["token-key.pem"]);
  assert.equal(statSync(join(place, "token-key.pem")).mode & 0o777, 0o600);
});

test("a development key that cannot be read names its file", async () => {
  const place = join(folder, "unusable");
  mkdirSync(join(place, "token-key.pem"), { recursive: true });
  await assert.rejects(developmentTokenKey(place), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.match(thrown.message, /unusable\/token-key\.pem .*set PLINTH_TOKEN_KEY/);
    return true;
  });
});

test("migrations have as long as their longest statement, and none are made where PLINTH_MIGRATE is off", async () => {
  const stores = {} as Stores;
  assert.equal(migrationComponent([], stores, {} as Settings, undefined).startTimeoutMs, 600_000);
  const runtime = await createRuntime(sampleApp, {
    environment: { ...environment, SAMPLE_KEY: "a key", PLINTH_MIGRATE: "false" },
    settings: { ...free, databaseUrl: "pglite:memory:unmigrated" },
    management: false,
  });
  // What is published would go nowhere: the broker's own tables are migrations too.
  await assert.rejects(runtime.start());
});

test("a mount that asks for a token has the app's key, even where no method asks for one", async () => {
  const open = contract("open", { methods: { look: method({ http: "GET /look", access: "public" }) } });
  const definition = app({
    name: "mounted",
    services: [service(open, { methods: { async look() {} } })],
    gateway: { mounts: [{ path: "/old", handler: (_req, res) => void res.end("old") }] },
  });
  const running = await startTestApp(definition, { settings: { dataFolder: folder } });
  try {
    assert.equal((await fetch(`${running.url}/look`)).status, 204);
    assert.equal((await fetch(`${running.url}/old`)).status, 401);
  } finally {
    await running.stop();
  }
});

test("a group that cannot start takes the others with it: nothing of the test app goes on listening", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const gatewayPort = (taken.address() as AddressInfo).port;
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const rpcPort = (other.address() as AddressInfo).port;
  await new Promise((resolve) => other.close(resolve));
  const two = app({
    name: "two",
    services: [...slowApp(createManualClock()).services],
    placement: { edge: ["gateway"], back: ["slow"] } as never,
  });
  await assert.rejects(startTestApp(two, { placement: "groups", settings: { port: gatewayPort, rpcPort } }), {
    reason: "PORT_IN_USE",
  });
  const connected = await new Promise<boolean>((resolve) => {
    const socket = connect(rpcPort, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false));
    socket.unref();
  });
  assert.equal(connected, false);
  taken.close();
});
