import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, writeFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { StartError, systemClock } from "../../base/index.ts";
import { raw } from "../../service/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import type { Gateway } from "../gateway.ts";
import { identityOf } from "../identity-of.ts";
import { silent, talk, testGateway } from "../testing.ts";
import type { TestAuthority } from "./tls.fixture.ts";
import { testAuthority } from "./tls.fixture.ts";
import type { GatewayTls, TlsOptions } from "./tls.ts";
import { createGatewayTls } from "./tls.ts";

let authority: TestAuthority | undefined;
before(() => {
  authority = testAuthority();
  authority?.issue("first", "DNS:first.test,DNS:localhost,IP:127.0.0.1");
  authority?.issue("second", "DNS:second.test,DNS:*.second.test");
  authority?.issue("renewed", "DNS:first.test,DNS:localhost");
  authority?.issue("person", "DNS:person");
});
after(() => authority?.remove());

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

const metrics = createMetrics();
const parts = { clock: systemClock, log: silent(), metrics };

function files(known: TestAuthority, name = "first"): { certificate: string; key: string } {
  return { certificate: known.path(`${name}.pem`), key: known.path(`${name}.key`) };
}

const hello = raw({ http: "GET /hello", access: "public" });

async function serve(options: TlsOptions): Promise<{ port: number; tls: GatewayTls; gateway: Gateway }> {
  const tls = await createGatewayTls(options, parts);
  const gateway = testGateway({ hello: { method: hello, handle: () => ({ body: "hello" }) } }, { tls, metrics });
  running.push(gateway);
  return { port: (await gateway.start()).port, tls, gateway };
}

/** Shakes hands and tells what was agreed; throws what the handshake failed with. */
async function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", servername: "first.test", ca: authority?.ca ?? "", ...options });
  await once(socket, "secureConnect");
  return socket;
}

async function commonName(port: number, servername: string): Promise<string> {
  const socket = await shake(port, { servername, checkServerIdentity: () => undefined });
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

describe("TLS at the gateway", () => {
  test("speaks HTTP/1.1 to those who ask for it, or for nothing, and HTTP/2 to those who ask for that", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await serve(files(authority));
    for (const [offered, agreed] of [
      [["h2", "http/1.1"], "h2"],
      [["http/1.1"], "http/1.1"],
      [undefined, false],
    ] as const) {
      const socket = await shake(port, offered ? { ALPNProtocols: [...offered] } : {});
      assert.equal(socket.alpnProtocol, agreed);
      socket.destroy();
    }
    await assert.rejects(shake(port, { ALPNProtocols: ["spdy/3"] }), /no application protocol/i);
    const socket = await shake(port);
    socket.setEncoding("latin1");
    socket.end("GET /hello HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(text, /\r\n\r\nhello$/);
  });

  test("HTTP/2 can be left out", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await serve({ ...files(authority), http2: false });
    const socket = await shake(port, { ALPNProtocols: ["h2", "http/1.1"] });
    assert.equal(socket.alpnProtocol, "http/1.1");
    socket.destroy();
  });

  test("shows each host its certificate, by name and by wildcard, and the first to all others", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await serve({ ...files(authority), more: [files(authority, "second")] });
    assert.equal(await commonName(port, "first.test"), "first");
    assert.equal(await commonName(port, "second.test"), "second");
    assert.equal(await commonName(port, "A.second.TEST"), "second");
    assert.equal(await commonName(port, "a.b.second.test"), "first");
    assert.equal(await commonName(port, "other.test"), "first");
    assert.equal(await commonName(port, ""), "first");
  });

  test("refuses old versions and weak ciphers", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await serve(files(authority));
    const newer = await shake(port);
    assert.equal(newer.getProtocol(), "TLSv1.3");
    newer.destroy();
    const older = await shake(port, { maxVersion: "TLSv1.2" });
    assert.equal(older.getProtocol(), "TLSv1.2");
    assert.match(older.getCipher().name, /^ECDHE-ECDSA-AES\d+-GCM|CHACHA20/);
    older.destroy();
    const weak = { ciphers: "DEFAULT:@SECLEVEL=0", minVersion: "TLSv1" } as const;
    await assert.rejects(shake(port, { ...weak, maxVersion: "TLSv1.1" }));
    await assert.rejects(shake(port, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0" }));
    const strict = await serve({ ...files(authority), minVersion: "1.3" });
    await assert.rejects(shake(strict.port, { maxVersion: "TLSv1.2" }));
  });

  test("plain HTTP on its port gets no answer that could be taken for one", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { port } = await serve(files(authority));
    const { text, closed } = await talk(port, "GET /hello HTTP/1.1\r\nHost: first.test\r\n\r\n");
    assert.equal(closed, true);
    assert.doesNotMatch(text, /HTTP/);
    assert.match((await metrics.render()).body, /plinth_gateway_handshake_failures_total \d+/);
  });

  test("a handshake that does not come ends after the time for headers", async (t) => {
    if (!authority) return t.skip("no openssl");
    const tls = await createGatewayTls(files(authority), parts);
    const gateway = testGateway({}, { tls, limits: { headersTimeout: "300ms", timeoutCheck: "50ms" } });
    running.push(gateway);
    const { port } = await gateway.start();
    const startedAt = systemClock.now();
    assert.equal((await talk(port, [])).closed, true);
    assert.ok(systemClock.now() - startedAt < 2000);
  });
});

describe("certificates that change", () => {
  test("are taken without a restart; connections that stand go on", async (t) => {
    if (!authority) return t.skip("no openssl");
    const live = { certificate: authority.path("live.pem"), key: authority.path("live.key") };
    copyFileSync(authority.path("first.pem"), live.certificate);
    copyFileSync(authority.path("first.key"), live.key);
    const { port, tls } = await serve({ ...live, checkEvery: "100ms" });
    const standing = await shake(port);
    assert.equal(await tls.check(), false);

    copyFileSync(authority.path("renewed.pem"), live.certificate);
    // Half of the pair only: it does not fit, so the old one goes on.
    assert.equal(await tls.check(), false);
    assert.equal(await commonName(port, "first.test"), "first");
    assert.equal(await commonName(port, ""), "first");
    copyFileSync(authority.path("renewed.key"), live.key);
    // By itself, within the time between two looks.
    const until = systemClock.now() + 3000;
    while ((await commonName(port, "first.test")) === "first") {
      assert.ok(systemClock.now() < until, "the new certificate was not taken");
      await systemClock.sleep(50);
    }
    assert.equal(await commonName(port, "first.test"), "renewed");
    assert.equal(await commonName(port, ""), "renewed");
    standing.setEncoding("latin1");
    standing.write("GET /hello HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of standing) text += chunk;
    assert.match(text, /hello$/);
    const { body } = await metrics.render();
    const leaf = new X509Certificate(authority.read("renewed.pem"));
    const expiry = Date.parse(leaf.validTo) / 1000;
    assert.match(body, new RegExp(`expiry_timestamp_seconds\\{certificate="first\\.test"\\} ${expiry}\\n`));
    assert.match(body, /plinth_gateway_certificate_reloads_total\{result="taken"\} 1\n/);
    assert.match(body, /plinth_gateway_certificate_reloads_total\{result="refused"\} 1\n/);
  });

  test("a broken one is refused, and told once, not at every look", async (t) => {
    if (!authority) return t.skip("no openssl");
    const live = { certificate: authority.path("odd.pem"), key: authority.path("odd.key") };
    copyFileSync(authority.path("first.pem"), live.certificate);
    copyFileSync(authority.path("first.key"), live.key);
    const counted = createMetrics();
    const tls = await createGatewayTls(live, { ...parts, metrics: counted });
    for (const text of ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
      writeFileSync(live.certificate, text);
      assert.equal(await tls.check(), false);
      assert.equal(await tls.check(), false);
    }
    assert.match((await counted.render()).body, /reloads_total\{result="refused"\} 1\n/);
    copyFileSync(authority.path("first.pem"), live.certificate);
    assert.equal(await tls.check(), false);
    tls.close();
  });
});

describe("client certificates", () => {
  test("those that are required must be there and come from the authority", async (t) => {
    if (!authority) return t.skip("no openssl");
    const other = testAuthority() as TestAuthority;
    other.issue("stranger", "DNS:stranger");
    const own = { cert: authority.read("person.pem"), key: authority.read("person.key") };
    const strange = { cert: other.read("stranger.pem"), key: other.read("stranger.key") };
    other.remove();
    const clients = { authority: authority.path("ca.pem") };
    const hear = async (port: number, options: ConnectionOptions): Promise<string> => {
      const socket = connect({
        port,
        host: "127.0.0.1",
        servername: "first.test",
        ca: authority?.ca ?? "",
        ...options,
      });
      socket.setEncoding("latin1");
      socket.on("error", () => {});
      socket.write("GET /hello HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
      return text.slice(0, 12);
    };
    const required = await serve({ ...files(authority), clients: { ...clients, required: true } });
    assert.equal(await hear(required.port, {}), "");
    assert.equal(await hear(required.port, strange), "");
    assert.equal(await hear(required.port, own), "HTTP/1.1 200");
    const optional = await serve({ ...files(authority), clients });
    assert.equal(await hear(optional.port, {}), "HTTP/1.1 200");
    assert.equal(await hear(optional.port, strange), "");
    assert.equal(await hear(optional.port, own), "HTTP/1.1 200");
  });

  test("the thumbprint of one is given to identity, in both protocols", async (t) => {
    if (!authority) return t.skip("no openssl");
    const { gateway, port } = await seeing(authority);
    running.push(gateway);
    const expected = createHash("sha256")
      .update(new X509Certificate(authority.read("person.pem")).raw)
      .digest("base64url");
    const shown = { cert: authority.read("person.pem"), key: authority.read("person.key") };
    const { http2Ask, http2Client } = await import("../http2/http2.fixture.ts");
    const session = http2Client(port, authority.ca, shown);
    assert.equal((await http2Ask(session, { ":path": "/who/" })).body, expected);
    session.close();
    const nobody = http2Client(port, authority.ca);
    assert.equal((await http2Ask(nobody, { ":path": "/who/" })).body, "nobody");
    nobody.close();
    const socket = await shake(port, shown);
    socket.setEncoding("latin1");
    socket.write("GET /who/ HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of socket) text += chunk;
    assert.ok(text.includes(expected));
  });
});

/** A gateway that tells what identity would see. */
async function seeing(known: TestAuthority): Promise<{ gateway: Gateway; port: number }> {
  const tls = await createGatewayTls({ ...files(known), clients: { authority: known.path("ca.pem") } }, parts);
  const gateway = testGateway(
    {},
    {
      tls,
      mounts: [
        {
          path: "/who",
          access: "public",
          handler: (req, res) => {
            const seen = identityOf({ req, headers: req.headers, method: "GET", path: "/who" } as never, undefined);
            res.end(seen.certificate() ?? "nobody");
          },
        },
      ],
    },
  );
  return { gateway, port: (await gateway.start()).port };
}

describe("what cannot be served is refused at start", () => {
  const refused = async (options: TlsOptions, words: RegExp): Promise<void> => {
    await assert.rejects(createGatewayTls(options, parts), (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.equal(thrown.reason, "TLS_INVALID");
      assert.match(thrown.message, words);
      return true;
    });
  };

  test("no certificate, a missing file, a key of another, no PEM, an expired one", async (t) => {
    if (!authority) return t.skip("no openssl");
    const pair = files(authority);
    await refused({}, /needs a certificate and its key/);
    await refused({ ...pair, key: authority.path("nothing.key") }, /cannot be read/);
    await refused({ ...pair, key: files(authority, "second").key }, /the key in .* is that of another certificate/);
    await refused({ ...pair, key: pair.certificate }, /holds no private key in PEM/);
    await refused({ ...pair, certificate: pair.key }, /no certificate in PEM/);
    authority.issue("late", "DNS:late.test", -1);
    await refused(files(authority, "late"), /it expired on .*; renew it/);
    await refused({ ...pair, clients: { authority: pair.key } }, /no certificate in PEM/);
  });

  test("options that mean nothing", async (t) => {
    if (!authority) return t.skip("no openssl");
    const pair = files(authority);
    await refused({ ...pair, minVersion: "1.1" as "1.2" }, /minVersion: write "1.2" or "1.3"/);
    await refused({ ...pair, checkEvery: "soon" as "1s" }, /checkEvery: write a duration/);
    await refused({ ...pair, plainPort: 70_000 }, /plainPort: write a port/);
    const tls = await createGatewayTls({ ...pair, http2: { streams: 0 } }, parts);
    assert.throws(() => testGateway({}, { tls }), /tls.http2.streams: write a whole number from 1 to 1000/);
  });
});
