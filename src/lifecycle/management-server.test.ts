import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { createManualClock, error, StartError } from "../base/index.ts";
import { createMetrics } from "../telemetry/index.ts";
import { readExposition } from "../telemetry/testing.ts";
import type { ManagementServer } from "./management-server.ts";
import { createManagementServer } from "./management-server.ts";
import type { LifecycleState } from "./readiness.ts";

let state: LifecycleState = "ready";
let reasons: string[] = [];
const logged: unknown[] = [];
const clock = createManualClock();
const metrics = createMetrics();
const options = {
  port: 0,
  lifecycle: {
    get state() {
      return state;
    },
    readiness: () => ({ ready: state === "ready" && reasons.length === 0, state, reasons }),
  },
  render: (accept: string | undefined) => metrics.render(accept),
};
let server: ManagementServer;
let url: string;

before(async () => {
  metrics.counter("hits_total", "Hits.").with().add(3);
  server = createManagementServer({
    ...options,
    clock,
    log: { error: (fields: unknown) => void logged.push(fields) },
    handlers: {
      "/debug/echo": ({ path, query, headers }) => ({
        status: 202,
        contentType: "application/json",
        body: JSON.stringify({ path, a: query.get("a"), host: headers.host !== undefined }),
      }),
      "/debug/bytes": async () => ({ contentType: "application/octet-stream", body: new Uint8Array([1, 2, 3]) }),
      "/debug/broken": () => {
        throw new Error("secret words");
      },
      "/debug/refused": () => {
        throw error("not_found", "No such span.", { reason: "SPAN_UNKNOWN" });
      },
      "/debug/slow": () => new Promise(() => {}),
    },
  });
  assert.equal(server.port, 0);
  const { port } = await server.start();
  assert.equal(server.port, port);
  url = `http://127.0.0.1:${port}`;
});
after(() => server.stop());

/** Sends bytes as they are, and returns all that comes back. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });

const probe = async (path: string) => (await fetch(url + path)).status;

test("the probes follow the life of the process", async () => {
  const expected: [LifecycleState, number, number, number][] = [
    ["created", 200, 503, 503],
    ["starting", 200, 503, 503],
    ["ready", 200, 200, 200],
    ["draining", 200, 200, 503],
    ["stopped", 200, 200, 503],
  ];
  for (const [now, live, startup, ready] of expected) {
    state = now;
    assert.deepEqual(
      [await probe("/livez"), await probe("/startupz"), await probe("/readyz")],
      [live, startup, ready],
      now,
    );
  }
  state = "ready";
});

test("readyz says why not, as a problem document whose status is the real one", async () => {
  reasons = ["db: the pool is empty"];
  const answer = await fetch(`${url}/readyz`);
  const problem = (await answer.json()) as Record<string, unknown>;
  reasons = [];
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(
    [answer.status, problem.status, problem.reason, problem.reasons, problem.state],
    [503, 503, "NOT_READY", ["db: the pool is empty"], "ready"],
  );
});

test("metrics come in the format that is asked for", async () => {
  const plain = await fetch(`${url}/metrics`);
  assert.equal(plain.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(readExposition(await plain.text(), "prometheus").value("hits_total"), 3);
  const open = await fetch(`${url}/metrics`, { headers: { accept: "application/openmetrics-text" } });
  assert.equal(readExposition(await open.text(), "openmetrics").value("hits_total"), 3);
});

test("further pages get path, query and headers, and answer with status, text or bytes", async () => {
  const answer = await fetch(`${url}/debug/echo?a=b%20c`);
  assert.equal(answer.status, 202);
  assert.deepEqual(await answer.json(), { path: "/debug/echo", a: "b c", host: true });
  const bytes = await fetch(`${url}/debug/bytes`);
  assert.deepEqual([...new Uint8Array(await bytes.arrayBuffer())], [1, 2, 3]);
  assert.equal(bytes.headers.get("cache-control"), "no-store");
  assert.equal(bytes.headers.get("x-content-type-options"), "nosniff");
});

test("HEAD has the headers of GET and no body", async () => {
  const answer = await raw("HEAD /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*content-length: 3\r\n[\s\S]*\r\n\r\n$/i);
});

test("other methods are 405 with Allow, unknown paths 404, both as problem documents", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const answer = await fetch(`${url}/livez`, { method });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"]);
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    await answer.body?.cancel();
  }
  for (const path of ["/", "/livez/", "/LIVEZ", "/livez%20", "/__proto__", "/constructor"]) {
    const answer = await fetch(url + path);
    assert.equal(answer.status, 404, path);
    assert.equal(((await answer.json()) as { status: number }).status, 404);
  }
});

test("a body is not read, and its connection is not used again", async () => {
  const answer = await raw("POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello");
  assert.match(answer, /^HTTP\/1\.1 405 /);
  assert.match(answer, /connection: close/i);
});

test("a page that throws is 500 and gives nothing away, but is logged; one of our errors keeps its status", async () => {
  const broken = await fetch(`${url}/debug/broken`);
  assert.equal(broken.status, 500);
  assert.equal((await broken.text()).includes("secret words"), false);
  assert.equal(logged.length, 1);
  const refused = await fetch(`${url}/debug/refused`);
  assert.deepEqual([refused.status, ((await refused.json()) as { reason: string }).reason], [404, "SPAN_UNKNOWN"]);
});

test("a page that takes too long is 504", async () => {
  const waiting = fetch(`${url}/debug/slow`);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  let done = false;
  void waiting.then(() => {
    done = true;
  });
  while (!done) {
    await clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const answer = await waiting;
  assert.equal(answer.status, 504);
  await answer.body?.cancel();
});

test("what is no HTTP is 400, headers that are too large are 431", async () => {
  assert.match(await raw("nonsense\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*"status":400/);
  const large = await raw(`GET /livez HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 [\s\S]*"status":431/);
});

test("refuses a port that is in use, naming the port and the remedy", async () => {
  const other = createManagementServer({ ...options, port: server.port, portSetting: "ADMIN_PORT" });
  await assert.rejects(
    other.start(),
    (thrown) =>
      thrown instanceof StartError &&
      thrown.reason === "PORT_IN_USE" &&
      thrown.message.includes(`port ${server.port} on 127.0.0.1 is in use`) &&
      thrown.message.includes("set ADMIN_PORT to another port"),
  );
  await other.stop();
});

test("refuses a port that is none, and a host that is not here", async () => {
  await assert.rejects(
    createManagementServer({ ...options, port: 70_000 }).start(),
    /70000 is no port. Set MANAGEMENT_PORT/,
  );
  await assert.rejects(
    createManagementServer({ ...options, host: "192.0.2.1" }).start(),
    (thrown) => thrown instanceof StartError && thrown.reason === "HOST_UNUSABLE",
  );
});

test("refuses pages that nobody could reach, or that hide one of ours", () => {
  const page = () => ({ contentType: "text/plain", body: "" });
  assert.throws(() => createManagementServer({ ...options, handlers: { "/livez": page } }), /this path is taken/);
  assert.throws(() => createManagementServer({ ...options, handlers: { "debug?": page } }), /write a path like/);
});

test("stop ends connections that stay open", async () => {
  const own = createManagementServer(options);
  const { port } = await own.start();
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write("GET /livez HTTP/1.1\r\n");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  await own.stop();
  await closed;
  await own.stop();
});
