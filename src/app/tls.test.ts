import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { createServer as createHttpServer, get } from "node:http";
import { connect } from "node:http2";
import { get as getSecurely } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { StartError } from "../base/index.ts";
import { contract, raw, service } from "../service/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { GatewayOptions } from "./app.ts";
import { app } from "./app.ts";
import type { Runtime } from "./runtime.ts";
import { createRuntime } from "./runtime.ts";

const greeter = contract("greeter", { methods: { hello: raw({ http: "GET /hello", access: "public" }) } });
const greeterService = service(greeter, { methods: { hello: async () => ({ body: "hello" }) } });

let folder = "";
let missing = "";
const file = (name: string) => join(folder, name);
before(() => {
  folder = mkdtempSync(join(tmpdir(), "plinth-app-tls-"));
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=host", "-addext", "subjectAltName=DNS:localhost"];
  try {
    for (const name of ["one", "two"]) {
      const out = ["-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2"];
      execFileSync("openssl", ["req", "-x509", ...ec, ...out, ...names], { cwd: folder, stdio: "pipe" });
    }
  } catch (thrown) {
    missing = `no certificates, since openssl failed: ${String(thrown).slice(0, 100)}`;
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

function create(gateway: GatewayOptions, environment: Record<string, string> = {}): Promise<Runtime> {
  return createRuntime(app({ name: "secure", services: [greeterService], gateway }), {
    environment: { PORT: "0", PLINTH_MANAGEMENT_PORT: "0", NODE_ENV: "test", PLINTH_LOG: "silent", ...environment },
    destination: createMemoryDestination(),
    management: false,
  });
}

const answered = (ask: (onAnswer: (answer: IncomingMessage) => void) => ClientRequest) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    ask((answer) => {
      answer.resume();
      resolve(answer);
    }).on("error", reject);
  });

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("an app with a certificate is served over TLS, HTTP/2 included, and says so", async (t) => {
  if (missing) return t.skip(missing);
  const runtime = await create({ tls: { certificate: file("one.pem"), key: file("one.key") } });
  const { gateway = "" } = await runtime.start();
  try {
    assert.match(gateway, /^https:\/\/127\.0\.0\.1:\d+$/);
    const { port } = new URL(gateway);
    const ca = readFileSync(file("one.pem"));
    const answer = await answered((then) => getSecurely(`https://localhost:${port}/hello`, { ca }, then));
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers["strict-transport-security"], "max-age=31536000");
    const missingPage = await answered((then) => getSecurely(`https://localhost:${port}/nothing`, { ca }, then));
    assert.equal(missingPage.headers["strict-transport-security"], "max-age=31536000");
    const session = connect(`https://localhost:${port}`, { ca });
    const stream = session.request({ ":path": "/hello" });
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    assert.equal(headers[":status"], 200);
    assert.equal(headers["strict-transport-security"], "max-age=31536000");
    session.destroy();
    await assert.rejects(answered((then) => get(`http://localhost:${port}/hello`, then)));
    const { body } = await runtime.metrics.render();
    assert.match(body, /plinth_gateway_certificate_expiry_timestamp_seconds\{certificate="localhost"\} \d+/);
  } finally {
    await runtime.stop();
  }
});

test("settings name the certificates, whatever the code says; a port for plain HTTP refuses everything", async (t) => {
  if (missing) return t.skip(missing);
  const plainPort = await freePort();
  const runtime = await create(
    { tls: { certificate: "/nowhere.pem", key: "/nowhere.key", hsts: { maxAge: "1d", includeSubDomains: true } } },
    {
      PLINTH_TLS_CERT: `${file("two.pem")},${file("one.pem")}`,
      PLINTH_TLS_KEY: `${file("two.key")},${file("one.key")}`,
      PLINTH_TLS_PLAIN_PORT: String(plainPort),
    },
  );
  const { gateway = "" } = await runtime.start();
  try {
    const ca = readFileSync(file("two.pem"));
    const { port } = new URL(gateway);
    const answer = await answered((then) => getSecurely(`https://localhost:${port}/hello`, { ca }, then));
    assert.equal(answer.headers["strict-transport-security"], "max-age=86400; includeSubDomains");
    for (const path of ["/hello", "/.well-known/acme-challenge/abc", "/"]) {
      const refused = await answered((then) => get(`http://127.0.0.1:${plainPort}${path}`, then));
      assert.equal(refused.statusCode, 403);
      assert.equal(refused.headers["content-type"], "application/problem+json");
      assert.equal(refused.headers.location, undefined);
      assert.equal(refused.headers["strict-transport-security"], undefined);
    }
  } finally {
    await runtime.stop();
  }
});

test("behind a proxy that ends TLS, what came without it is refused", async () => {
  const runtime = await create({ tls: { at: "proxy" }, trustedProxies: ["127.0.0.1"] });
  const { gateway = "" } = await runtime.start();
  const ask = (headers: Record<string, string>) => answered((then) => get(`${gateway}/hello`, { headers }, then));
  try {
    assert.match(gateway, /^http:/);
    const came = { "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https" };
    const secure = await ask(came);
    assert.equal(secure.statusCode, 200);
    assert.equal(secure.headers["strict-transport-security"], "max-age=31536000");
    assert.equal((await ask({ ...came, "x-forwarded-proto": "http" })).statusCode, 403);
    assert.equal((await ask({})).statusCode, 403);
  } finally {
    await runtime.stop();
  }
});

test("an app whose certificate is still to come starts, refuses plain HTTP, and tries again later", async () => {
  const plainPort = await freePort();
  // An authority that wants nothing of us.
  const refusing = createHttpServer((_req, res) => void res.writeHead(403).end("{}"));
  const directory = await new Promise<string>((resolve) => {
    refusing.listen(0, "127.0.0.1", () =>
      resolve(`http://127.0.0.1:${(refusing.address() as { port: number }).port}/`),
    );
  });
  const data = mkdtempSync(join(tmpdir(), "plinth-app-acme-"));
  const acme = { hosts: ["shop.test"], termsAgreed: true, directory } as const;
  const runtime = await create({ tls: { acme, plainPort } }, { PLINTH_DATA: data });
  const { gateway = "" } = await runtime.start();
  try {
    await assert.rejects(answered((then) => getSecurely(`${gateway}/hello`, then)));
    assert.equal((await answered((then) => get(`http://127.0.0.1:${plainPort}/hello`, then))).statusCode, 403);
    const until = Date.now() + 5000;
    while (!/orders_total\{result="failed"\} 1\n/.test((await runtime.metrics.render()).body)) {
      assert.ok(Date.now() < until, "no certificate was ordered");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.match(readFileSync(join(data, "acme/attempts.json"), "utf8"), /"failures":1/);
  } finally {
    await runtime.stop();
    refusing.close();
    rmSync(data, { recursive: true, force: true });
  }
  const both = { tls: { acme, certificate: "a", key: "b" } };
  await assert.rejects(create(both), /it has acme and a certificate/);
});

test("what cannot be is refused before anything listens", async () => {
  const refused = (gateway: GatewayOptions, environment: Record<string, string>, words: RegExp) =>
    assert.rejects(create(gateway, environment), (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.match(thrown.message, words);
      return true;
    });
  await refused({ tls: {} }, {}, /needs a certificate and its key/);
  await refused({ tls: { at: "proxy" } }, {}, /no proxy is trusted; declare gateway.trustedProxies/);
  await refused({ tls: { at: "proxy" } }, { PLINTH_TLS_CERT: "a", PLINTH_TLS_KEY: "b" }, /remove one of them/);
  await refused({}, { PLINTH_TLS_CERT: "a,b", PLINTH_TLS_KEY: "c" }, /as many keys as certificates/);
  const trusted = { trustedProxies: ["127.0.0.1"] };
  await refused({ tls: { at: "proxy", hsts: { maxAge: "0s" } }, ...trusted }, {}, /tls.hsts.maxAge/);
  await refused(
    { tls: { at: "proxy", hsts: { preload: true } }, ...trusted },
    {},
    /preload: it needs includeSubDomains/,
  );
});
