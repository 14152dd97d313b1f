import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isError } from "../base/index.ts";
import { peers, scope, secret, stream, unary } from "./peer.fixture.ts";
import { createRpcServer } from "./server.ts";

const all = peers();
after(() => all.close());
const echo = unary("echo", async (request) => request);

function reasonIs(reason: string, executed?: string) {
  return (thrown: unknown) => {
    assert.ok(isError(thrown), String(thrown));
    assert.deepEqual([thrown.reason, executed && thrown.executed], [reason, executed]);
    return true;
  };
}

describe("who gets in", () => {
  test("a client with another secret does not, hears why, and asks again at leisure", async () => {
    const said: string[] = [];
    const server = await all.server([echo], { log: (level, message) => said.push(`${level} ${message}`) });
    const heard: unknown[] = [];
    const client = all.client([server.address], [echo], {
      secret: "another secret of ours",
      log: (_, __, fields) => heard.push(fields.reason),
    });
    const call = client.call("echo");
    await assert.rejects(call({ text: "" }, scope()), (thrown) => {
      assert.ok(isError(thrown));
      assert.deepEqual(
        [thrown.code, thrown.reason, thrown.retry, thrown.executed],
        ["unavailable", "RPC_SECRET_REFUSED", "never", "no"],
      );
      return true;
    });
    await assert.rejects(call({ text: "" }, scope()), reasonIs("RPC_SECRET_REFUSED", "no"));
    assert.deepEqual(said, ["warn rpc: refused a connection"]);
    assert.deepEqual(heard, ["RPC_SECRET_REFUSED"]);
    assert.equal(client.state.connections[0]?.state, "waiting");
  });

  test("while a secret is changed, old and new ones work", async () => {
    const [old, next] = ["the old secret 1234", "the new secret 1234"];
    const server = await all.server([echo], { secret: [old, next] });
    for (const given of [old, next, [next, old]]) {
      const client = all.client([server.address], [echo], { secret: given });
      assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    }
  });

  test("a secret that could be guessed stops the start", () => {
    const options = { name: "x", port: 0, methods: [echo] };
    for (const weak of ["short", "", [], [secret, "short"]]) {
      assert.throws(() => createRpcServer({ ...options, secret: weak }), {
        name: "StartError",
        reason: "RPC_SECRET_WEAK",
      });
    }
  });

  test("the secret is never on the wire", async () => {
    const server = await all.server([echo]);
    const seen: Buffer[] = [];
    const spy = createServer((down) => {
      all.socket(server.port).then((up) => {
        for (const socket of [up, down]) socket.on("data", (chunk) => seen.push(chunk));
        down.pipe(up);
        up.pipe(down);
        down.on("error", () => up.destroy());
        up.on("close", () => down.destroy());
        down.on("close", () => up.destroy());
      });
    });
    await new Promise<void>((resolve) => spy.listen(0, "127.0.0.1", resolve));
    const client = all.client([`127.0.0.1:${(spy.address() as { port: number }).port}`], [echo]);
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    await client.close();
    spy.close();
    const bytes = Buffer.concat(seen);
    assert.ok(bytes.length > 200 && !bytes.includes(secret));
  });
});

describe("TLS", () => {
  let folder = "";
  let missing = "";
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "plinth-rpc-"));
    try {
      const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca");
      for (const name of ["server", "client"]) {
        openssl(
          "req",
          ...ec,
          "-keyout",
          `${name}.key`,
          "-out",
          `${name}.csr`,
          "-subj",
          `/CN=${name}`,
          "-addext",
          "subjectAltName=IP:127.0.0.1",
        );
        openssl(
          "x509",
          "-req",
          "-in",
          `${name}.csr`,
          "-CA",
          "ca.pem",
          "-CAkey",
          "ca.key",
          "-CAcreateserial",
          "-out",
          `${name}.pem`,
          "-days",
          "2",
          "-copy_extensions",
          "copy",
        );
      }
      openssl("req", "-x509", ...ec, "-keyout", "other.key", "-out", "other.pem", "-days", "2", "-subj", "/CN=other");
    } catch (thrown) {
      missing = `no certificates, since openssl failed: ${String(thrown).slice(0, 100)}`;
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const pair = (name: string) => ({ cert: file(`${name}.pem`), key: readFileSync(file(`${name}.key`)) });

  test("carries calls and streams when both sides trust each other", async (t) => {
    if (missing) return t.skip(missing);
    const methods = [
      echo,
      stream("items", async function* ({ n }) {
        for (let i = 0; i < n; i++) yield { n: i };
      }),
    ];
    const server = await all.server(methods, { tls: { ...pair("server"), ca: file("ca.pem") } });
    const client = all.client([server.address], methods, { tls: { ...pair("client"), ca: file("ca.pem") } });
    const value = { text: "x".repeat(300_000) };
    assert.deepEqual(await client.call("echo")(value, scope()), value);
    let sum = 0;
    for await (const { n } of client.stream("items")({ n: 100 }, scope())) sum += n;
    assert.equal(sum, 4950);
    await server.drain();
  });

  test("refuses a client without a certificate, one of another authority, and one that speaks no TLS", async (t) => {
    if (missing) return t.skip(missing);
    const said: unknown[] = [];
    const server = await all.server([echo], {
      tls: { ...pair("server"), ca: file("ca.pem") },
      log: (_, __, fields) => said.push(fields.reason),
    });
    const ca = file("ca.pem");
    for (const tls of [{ ca }, { ...pair("other"), ca }, undefined]) {
      const client = all.client([server.address], [echo], { tls, limits: { queueMs: 200 } });
      await assert.rejects(client.call("echo")({ text: "" }, scope()), reasonIs("RPC_UNREACHABLE", "no"));
      await client.close();
    }
    assert.ok(said.includes("RPC_TLS_REFUSED"));
    assert.equal(server.stats.connections, 0);
    await all.socket(server.port);
  });

  test("a client does not talk to a server of another authority, or another name", async (t) => {
    if (missing) return t.skip(missing);
    const server = await all.server([echo], { tls: pair("server") });
    for (const tls of [{ ca: file("other.pem") }, { ca: file("ca.pem"), serverName: "orders.internal" }]) {
      const client = all.client([server.address], [echo], { tls, limits: { queueMs: 200 } });
      await assert.rejects(client.call("echo")({ text: "" }, scope()), reasonIs("RPC_UNREACHABLE", "no"));
    }
    const client = all.client([server.address], [echo], { tls: { ca: file("ca.pem") } });
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
  });
});
