import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import { app } from "./app.ts";
import { toSchemaName } from "./databases.ts";
import type { RuntimeOptions } from "./runtime.ts";
import { createRuntime } from "./runtime.ts";
import { sampleApp, store } from "./sample.fixture.ts";
import { startTestApp } from "./testing.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-app-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const environment = {
  NODE_ENV: "test",
  PLINTH_LOG: "silent",
  SAMPLE_KEY: "a key of some length",
  DATABASE_URL: "pglite:memory:app-runtime",
};
const free = { port: 0, managementPort: 0, rpcPort: 0, dataFolder: folder };

async function refusalOf(options: RuntimeOptions, definition = sampleApp): Promise<StartError> {
  try {
    const runtime = await createRuntime(definition, {
      environment,
      ...options,
      settings: { ...free, ...options.settings },
    });
    await runtime.start();
    await runtime.stop();
  } catch (thrown) {
    assert.ok(thrown instanceof StartError, String(thrown));
    return thrown;
  }
  return assert.fail("it started");
}

const hello = contract("hello", {
  methods: { greet: method({ http: "GET /hello", response: t.Object({ text: t.String() }), access: "public" }) },
});
const helloApp = app({
  name: "hello",
  services: [
    service(hello, {
      methods: {
        async greet() {
          return { text: "hi" };
        },
      },
    }),
  ],
});

const refusals: readonly [claim: string, options: RuntimeOptions, reason: string, message: RegExp][] = [
  [
    "a secret that nobody gave",
    { environment: { ...environment, SAMPLE_KEY: "" } },
    "SECRET_MISSING",
    /front: needs\.key: the secret SAMPLE_KEY \(a key for the test\) is not set; set it/,
  ],
  [
    "an unknown group",
    { group: "front" },
    "GROUP_UNKNOWN",
    /no group "front" in "sample"; its placement has "edge", "back", "workers"/,
  ],
  [
    "a group without the secret of its peers",
    { group: "back" },
    "RPC_SECRET_MISSING",
    /PLINTH_RPC_SECRET: it is not set, and "sample\/back" talks to the other processes/,
  ],
  [
    "production without a token key",
    { environment: { ...environment, NODE_ENV: "production" } },
    "TOKEN_KEY_MISSING",
    /PLINTH_TOKEN_KEY: it is not set/,
  ],
  [
    "a database address that is none",
    { environment: { ...environment, DATABASE_URL: "nowhere" } },
    "SETTINGS_INVALID",
    /DATABASE_URL: its value is not an address/,
  ],
  [
    "a database that no engine serves",
    { environment: { ...environment, DATABASE_URL: "oracle://x/y" } },
    "ENGINE_UNKNOWN",
    /DATABASE_URL: no engine serves "oracle:\/\/" as a database; there are pglite:\/\/, postgres:\/\/, postgresql:\/\/\./,
  ],
  [
    "an engine without the port",
    { environment: { ...environment, DATABASE_URL: "redis://127.0.0.1:1" } },
    "ENGINE_LACKS_PORT",
    /DATABASE_URL: redis is no database, it offers cache, limiter; there are pglite:\/\/, postgres:\/\/, /,
  ],
  [
    "a cache on an engine that is none",
    { environment: { ...environment, CACHE_URL: "pglite:memory" } },
    "ENGINE_LACKS_PORT",
    /CACHE_URL: pglite is no cache, it offers database; there are redis:\/\/, /,
  ],
  [
    "an option that the embedded database cannot honour",
    { environment: { ...environment, DATABASE_URL: "pglite:memory?pool=5" } },
    "DATABASE_URL_INVALID",
    /the embedded database takes a directory and nothing else/,
  ],
  [
    "several wrong settings at once",
    { environment: { ...environment, PORT: "http", NODE_ENV: "prod" } },
    "SETTINGS_INVALID",
    /NODE_ENV: "prod" is not one of[\s\S]*PORT: "http" is not a port/,
  ],
];
for (const [claim, options, reason, message] of refusals) {
  test(`refuses to start with ${claim}`, async () => {
    const refusal = await refusalOf(options);
    assert.equal(refusal.reason, reason);
    assert.match(refusal.message, message);
  });
}

test("refuses to start on a port in use, names it, and leaves nothing running", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  try {
    const refusal = await refusalOf({ settings: { port } }, helloApp);
    assert.equal(refusal.reason, "PORT_IN_USE");
    assert.match(refusal.message, new RegExp(String(port)));
    const management = await refusalOf({ settings: { managementPort: port } }, helloApp);
    assert.match(management.message, new RegExp(`${port}[\\s\\S]*PLINTH_MANAGEMENT_PORT`));
  } finally {
    other.close();
  }
});

test("serves, answers probes and metrics, and stops with exit code 0", async () => {
  const runtime = await createRuntime(helloApp, { environment, settings: free });
  const { gateway, management, rpc } = await runtime.start();
  assert.equal(rpc, undefined);
  assert.deepEqual(await (await fetch(`${gateway}/hello`)).json(), { text: "hi" });
  for (const probe of ["livez", "readyz", "startupz"])
    assert.equal((await fetch(`${management}/${probe}`)).status, 200, probe);
  const metrics = await (await fetch(`${management}/metrics`)).text();
  assert.match(metrics, /rpc_server_call_duration_seconds_count\{service="hello",method="greet",code="ok"\} 1/);
  assert.match(metrics, /http_server_request_duration_seconds_count\{.*\/hello.*\} 1/);
  assert.equal(await runtime.stop(), 0);
  assert.equal(await runtime.stop(), 0);
});

test("without listening there is still a handler to mount, and a client", async () => {
  const runtime = await createRuntime(helloApp, { environment, settings: free, listen: false, management: false });
  assert.deepEqual(await runtime.start(), {});
  const outer = createServer((req, res) => runtime.handler?.(req, res));
  await new Promise<void>((resolve) => outer.listen(0, "127.0.0.1", resolve));
  const { port } = outer.address() as AddressInfo;
  assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/hello`)).json(), { text: "hi" });
  assert.deepEqual(await runtime.client(hello).greet(), { text: "hi" });
  assert.throws(() => runtime.client(store), /client\(store\): nothing in "hello" provides it/);
  outer.close();
  await runtime.stop();
});

test("fakes stand in for needs", async () => {
  const running = await startTestApp(sampleApp, {
    environment: { SAMPLE_KEY: "a key of some length" },
    doubles: { front: { store: { get: async ({ id }: { id: string }) => ({ id, label: "faked" }) } } },
  });
  try {
    assert.deepEqual(await (await fetch(`${running.url}/items/x`)).json(), { id: "x", label: "faked" });
  } finally {
    await running.stop();
  }
});

test("pages are made from the Model and served", async () => {
  const runtime = await createRuntime(helloApp, {
    environment,
    settings: free,
    management: false,
    pages: (model) => [
      { path: "/docs", contentType: "text/plain; charset=utf-8", body: model.services.map((each) => each.name).join() },
    ],
  });
  const { gateway } = await runtime.start();
  assert.equal(await (await fetch(`${gateway}/docs`)).text(), "hello");
  await runtime.stop();
});

test("a failure inside is logged once with its trace, and a declared secret never", async () => {
  const destination = createMemoryDestination();
  const odd = contract("odd", { methods: { fail: method({ http: "GET /fail", access: "public" }) } });
  const definition = app({
    name: "odd",
    services: [
      service(odd, {
        methods: {
          async fail() {
            throw new Error("the key is hunter2-hunter2-hunter2");
          },
        },
      }),
    ],
  });
  const runtime = await createRuntime(definition, {
    environment: { ...environment, PLINTH_LOG: "info", PLINTH_RPC_SECRET: "hunter2-hunter2-hunter2" },
    settings: free,
    management: false,
    destination,
  });
  const { gateway } = await runtime.start();
  const response = await fetch(`${gateway}/fail`);
  const problem = (await response.json()) as { traceId: string };
  assert.equal(response.status, 500);
  await runtime.stop();
  const failures = destination.records.filter((record) => record.operation === "odd.fail");
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.trace_id, problem.traceId);
  assert.doesNotMatch(destination.text, /hunter2/);
});

test("a service's schema is its name as SQL writes names", () => {
  assert.equal(toSchemaName("orderHistory"), "order_history");
});

test("after a start that failed nothing goes on looking for work", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const destination = createMemoryDestination();
  const runtime = await createRuntime(sampleApp, {
    environment: { ...environment, PLINTH_LOG: "info", DATABASE_URL: "pglite:memory:failed-start" },
    settings: { ...free, port },
    management: false,
    destination,
  });
  await assert.rejects(runtime.start(), { reason: "PORT_IN_USE" });
  await sleep(400);
  other.close();
  assert.deepEqual(
    destination.records.filter((record) => record.level === "warn" || record.level === "error"),
    [],
  );
});
