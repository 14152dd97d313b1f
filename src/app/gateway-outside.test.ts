import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { StartError, systemClock } from "../base/index.ts";
import { t as schema } from "../schema/index.ts";
import { cache, contract, method, service, tokens } from "../service/index.ts";
import type { TextDestination } from "../telemetry/index.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import { upstream } from "./gateway-routing.ts";
import { createRuntime } from "./runtime.ts";
import { startTestApp } from "./testing.ts";

/** A server that Plinth did not write; each answer names it. */
async function outside(t: TestContext, name: string): Promise<string> {
  const server = createServer((req, res) => {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ name, url: req.url, headers: req.headers }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const login = contract("login", {
  methods: {
    enter: method({
      http: "POST /enter",
      response: schema.Object({ token: schema.String() }),
      access: "public",
    }),
  },
});

const loginService = service(login, {
  needs: { tokens: tokens() },
  methods: { enter: async (_request, { tokens }) => ({ token: (await tokens.issue({ subject: "ada é" })).token }) },
});

const shop = (gateway: GatewayOptions) => app({ name: "shop", services: [loginService], gateway });

async function seen(url: string, init?: RequestInit) {
  const answer = await fetch(url, init);
  return { status: answer.status, body: (await answer.json()) as Record<string, any>, headers: answer.headers };
}

test("an app fronts a plain server: nobody gets through without a token, and the server learns who calls", async (t) => {
  const legacy = await outside(t, "legacy");
  const running = await startTestApp(
    shop({
      upstreams: { legacy: { targets: [legacy] } },
      routes: [{ path: "/legacy/*", upstream: "legacy", strip: true }],
    }),
  );
  t.after(() => running.stop());
  const refused = await seen(`${running.url}/legacy/orders`);
  assert.deepEqual([refused.status, refused.body.reason], [401, "TOKEN_MISSING"]);
  const { token } = (await seen(`${running.url}/enter`, { method: "POST" })).body;
  const headers = { authorization: `Bearer ${token}`, "x-plinth-subject": "root", "x-forwarded-for": "1.2.3.4" };
  const let_in = await seen(`${running.url}/legacy/orders?a=1`, { headers });
  assert.deepEqual([let_in.status, let_in.body.url], [200, "/orders?a=1"]);
  const got = let_in.body.headers;
  assert.equal(got["x-plinth-subject"], "ada%20%C3%A9");
  assert.equal(got["x-plinth-kind"], "user");
  assert.equal(got.authorization, undefined);
  assert.equal(got["x-forwarded-for"], "127.0.0.1");
  assert.match(got.traceparent, /^00-[0-9a-f]{32}-/);
  assert.equal(got["x-request-id"], let_in.headers.get("x-request-id"));
});

test("a route that names nothing there is refused at start, with what there is", async () => {
  const wrong = shop({
    upstreams: { legacy: { targets: ["http://127.0.0.1:1"] } },
    routes: [{ path: "/a/*", upstream: "legcy" }],
  });
  await assert.rejects(
    startTestApp(wrong),
    (thrown) => thrown instanceof StartError && /upstream: there is no "legcy"; there are legacy/.test(thrown.message),
  );
});

test("PLINTH_UPSTREAMS says where an outside system is", async (t) => {
  const legacy = await outside(t, "elsewhere");
  const definition = shop({
    upstreams: { legacy: { targets: ["http://127.0.0.1:1"] } },
    routes: [{ path: "/legacy/*", upstream: "legacy", access: "public" }],
  });
  const running = await startTestApp(definition, { environment: { PLINTH_UPSTREAMS: `legacy=${legacy}` } });
  t.after(() => running.stop());
  assert.equal((await seen(`${running.url}/legacy/a`)).body.name, "elsewhere");
});

async function reloading(t: TestContext, content: unknown) {
  const folder = mkdtempSync(join(tmpdir(), "plinth-gateway-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "gateway.json");
  const write = (value: unknown): void => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write(content);
  const [stable, canary] = [await outside(t, "stable"), await outside(t, "canary")];
  const definition = shop({
    upstreams: { stable: { targets: [stable] }, canary: { targets: [canary] } },
    splits: { main: { between: ["stable", "canary"], weights: { stable: 1 } } },
    routes: [{ path: "/main/*", split: "main", access: "public" }],
  });
  const lines: string[] = [];
  const destination: TextDestination = { write: (text: string) => void lines.push(text) } as unknown as TextDestination;
  return { folder, file, write, definition, lines, destination, canary };
}

const settle = () => systemClock.sleep(1300);

async function until(condition: () => Promise<boolean>): Promise<void> {
  const endAt = systemClock.now() + 10_000;
  while (!(await condition())) {
    assert.ok(systemClock.now() < endAt, "it did not come to be");
    await systemClock.sleep(20);
  }
}

test("a changed file is taken while it runs, a wrong one is refused whole and the old goes on", async (t) => {
  const { file, write, definition, folder } = await reloading(t, {});
  const running = await startTestApp(definition, { environment: { PLINTH_GATEWAY_FILE: file } });
  t.after(() => running.stop());
  const name = async () => (await seen(`${running.url}/main/a`)).body.name;
  assert.equal(await name(), "stable");
  write({ splits: { main: { weights: { canary: 1 } } } });
  await until(async () => (await name()) === "canary");
  write({ splits: { main: { weights: { stable: 1 } } }, mirrors: { nothing: null } });
  await settle();
  assert.equal(await name(), "canary");
  // As Kubernetes puts a ConfigMap in place: the name stays, the link behind it moves.
  writeFileSync(
    join(folder, "other.json"),
    JSON.stringify({ maintenance: { routes: ["/main/*"], retryAfter: "90s" } }),
  );
  symlinkSync("other.json", `${file}.link`);
  renameSync(`${file}.link`, file);
  await until(async () => (await fetch(`${running.url}/main/a`)).status === 503);
  const closed = await seen(`${running.url}/main/a`);
  assert.deepEqual([closed.status, closed.body.reason, closed.headers.get("retry-after")], [503, "MAINTENANCE", "90"]);
  assert.equal((await seen(`${running.url}/enter`, { method: "POST" })).status, 200);
  write({});
  process.kill(process.pid, "SIGHUP");
  await until(async () => (await name()) === "stable");
});

test("targets can be moved, and a wrong target is refused with its path", async (t) => {
  const { file, write, definition, canary } = await reloading(t, {});
  const running = await startTestApp(definition, { environment: { PLINTH_GATEWAY_FILE: file } });
  t.after(() => running.stop());
  write({ upstreams: { stable: { targets: [{ url: canary, weight: 2 }] } } });
  await until(async () => (await seen(`${running.url}/main/a`)).body.name === "canary");
});

test("a wrong file stops the start, and each problem has its path", async (t) => {
  const { file, write, definition } = await reloading(t, { splits: { main: { weights: { stabel: 1 } } }, access: {} });
  const environment = { NODE_ENV: "test", PLINTH_LOG: "silent", PLINTH_GATEWAY_FILE: file };
  const start = async () => {
    const runtime = await createRuntime(definition, {
      environment,
      management: false,
      settings: { port: 0, databaseUrl: "pglite:memory:x" },
    });
    try {
      await runtime.start();
    } finally {
      await runtime.stop();
    }
  };
  await assert.rejects(start(), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.match(thrown.message, /access: there is no such field here; there are revision, upstreams/);
    return true;
  });
  write({ splits: { main: { weights: { stabel: 1 } } } });
  await assert.rejects(start(), /splits\.main\.weights\.stabel: there is no such variant; there are stable, canary/);
});

test("a plan may allow more or less while it runs, by the same things", async (t) => {
  const { file, write, definition } = await reloading(t, {});
  const gateway = {
    ...definition.gateway,
    plans: { free: [{ quota: 1000, window: "1h" as const }] },
    planOf: { claim: "plan" },
  };
  const running = await startTestApp({ ...definition, gateway }, { environment: { PLINTH_GATEWAY_FILE: file } });
  t.after(() => running.stop());
  const status = async () => (await fetch(`${running.url}/main/a`)).status;
  assert.equal(await status(), 200);
  write({ plans: { free: [{ quota: 2, window: "1h" }] } });
  await settle();
  const statuses = [await status(), await status(), await status()];
  // What was counted before counts on.
  assert.equal(statuses.at(-1), 429);
  write({});
  await until(async () => (await status()) === 200);
});

test("what a service invalidates is gone from what the gateway keeps of outside systems", async (t) => {
  let count = 0;
  const server = createServer((_req, res) => {
    count++;
    res.setHeader("cache-control", "max-age=600");
    res.setHeader("cache-tag", "product:1");
    res.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const stock = contract("stock", { methods: { change: method({ http: "POST /change", access: "public" }) } });
  const stockService = service(stock, {
    needs: { cache: cache() },
    methods: { change: async (_request, { cache }) => void (await cache.invalidate(["product:1"])) },
  });
  const definition = app({
    name: "shop",
    services: [stockService],
    gateway: {
      upstreams: { legacy: upstream({ targets: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] }) },
      routes: [{ path: "/legacy/*", upstream: "legacy", access: "public", cache: {} }],
    },
  });
  const running = await startTestApp(definition);
  t.after(() => running.stop());
  const get = () => fetch(`${running.url}/legacy/products/1`).then((answer) => answer.text());
  await get();
  await get();
  assert.equal(count, 1);
  assert.equal((await fetch(`${running.url}/change`, { method: "POST" })).status, 204);
  await get();
  assert.equal(count, 2);
});

test("of a split, a file changes what it names: weights leave the rules as they are, and rules the weights", async (t) => {
  const [stable, canary] = [await outside(t, "stable"), await outside(t, "canary")];
  const match = [{ header: "x-canary", value: "yes", to: "canary" }];
  const definition = shop({
    upstreams: { stable: { targets: [stable] }, canary: { targets: [canary] } },
    splits: { main: { between: ["stable", "canary"], weights: { stable: 1 }, match } },
    routes: [{ path: "/main/*", split: "main", access: "public" }],
  });
  const folder = mkdtempSync(join(tmpdir(), "plinth-gateway-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "gateway.json");
  const served = async (main: unknown) => {
    writeFileSync(file, JSON.stringify({ splits: { main } }));
    const running = await startTestApp(definition, { environment: { PLINTH_GATEWAY_FILE: file } });
    const ask = async (headers: Record<string, string>) => (await seen(`${running.url}/main/a`, { headers })).body.name;
    const found = [await ask({}), await ask({ "x-canary": "yes" })];
    await running.stop();
    return found;
  };
  assert.deepEqual(await served({ weights: { stable: 2 } }), ["stable", "canary"]);
  assert.deepEqual(await served({ weights: { stable: 2 }, match: [] }), ["stable", "stable"]);
  assert.deepEqual(await served({ match: [{ header: "x-canary", to: "stable" }] }), ["stable", "stable"]);
});
