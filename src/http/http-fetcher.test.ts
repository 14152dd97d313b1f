import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { after, describe, test } from "node:test";
import { isError, systemClock } from "../base/index.ts";
import { makeCertificates } from "./certificates.fixture.ts";
import { createHttpFetcher } from "./http-fetcher.ts";

const closing: (() => unknown)[] = [];
after(() => {
  for (const close of closing) close();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    if ("closeAllConnections" in server) (server as { closeAllConnections(): void }).closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const serve = async (listener: RequestListener) => `http://127.0.0.1:${await listen(createServer(listener))}`;
const clock = systemClock;
const here = createHttpFetcher({ clock, egress: { addresses: ["loopback"] } });

function reasonIs(reason: string) {
  return (thrown: unknown) => isError(thrown, reason);
}

describe("getting JSON", () => {
  test("gives status, headers and document", async () => {
    let seen: unknown;
    const url = await serve((req, res) => {
      seen = [req.method, req.url, req.headers.accept, req.headers["x-a"], req.headers.connection];
      res.writeHead(200, { "content-type": "application/jwk-set+json", "cache-control": "max-age=60" });
      res.end('{"keys":[]}');
    });
    const { status, headers, json } = await here.getJson(`${url}/jwks?a=b#c`, { headers: { "x-a": "1" } });
    assert.deepEqual([status, headers["cache-control"], json], [200, "max-age=60", { keys: [] }]);
    assert.deepEqual((seen as unknown[]).slice(0, 4), ["GET", "/jwks?a=b", "application/json", "1"]);
  });

  test("reports a redirect and does not follow it", async () => {
    let asked = 0;
    const url = await serve((_, res) => {
      asked++;
      res.writeHead(302, { location: "/elsewhere" }).end("<html>");
    });
    const { status, json } = await here.getJson(url);
    assert.deepEqual([status, json, asked], [302, undefined, 1]);
  });

  test("gives the document of an error, if it has one", async () => {
    const url = await serve((_, res) => res.writeHead(400).end('{"error":"x"}'));
    assert.deepEqual((await here.getJson(url)).json, { error: "x" });
  });

  test("refuses what is no JSON, and what is too large, without reading on", async () => {
    const html = await serve((_, res) => res.end("<html>"));
    await assert.rejects(here.getJson(html), reasonIs("HTTP_ANSWER_UNREADABLE"));
    let isCut = false;
    const endless = await serve((_, res) => {
      const write = () => {
        while (!res.destroyed && res.write("x".repeat(65_536)));
      };
      res.on("drain", write).on("close", () => {
        isCut = true;
      });
      write();
    });
    await assert.rejects(here.getJson(endless, { bytesMax: 100_000 }), reasonIs("HTTP_ANSWER_UNREADABLE"));
    while (!isCut) await clock.sleep(5);
  });

  test("ends with its time: silent before the head, within the body, and while connecting", async () => {
    const silent = await serve(() => {});
    const half = await serve((_, res) => res.writeHead(200).write("{"));
    for (const url of [silent, half])
      await assert.rejects(here.getJson(url, { timeoutMs: 80 }), reasonIs("DEADLINE_EXCEEDED"));
  });

  test("says when nobody is there, and when it broke off", async () => {
    const port = await listen(createTcpServer((socket) => socket.once("data", () => socket.resetAndDestroy())));
    await assert.rejects(here.getJson(`http://127.0.0.1:${port}`), reasonIs("HTTP_CONNECTION_LOST"));
    await assert.rejects(here.getJson("http://127.0.0.1:1"), reasonIs("HTTP_UNREACHABLE"));
  });
});

describe("where it goes", () => {
  const outside = createHttpFetcher({ clock });

  test("not to this machine, private networks or the metadata of a cloud", async () => {
    let asked = 0;
    const url = await serve((_, res) => {
      asked++;
      res.end("{}");
    });
    const port = new URL(url).port;
    for (const host of [
      ...["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "127.1", "0.0.0.0"],
      ...["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "192.168.0.1"],
    ]) {
      const attempt = outside.getJson(`http://${host}:${port}/`, { timeoutMs: 20_000 });
      await assert.rejects(attempt, reasonIs("HTTP_EGRESS_DENIED"), host);
    }
    assert.equal(asked, 0);
  });

  test("not over other protocols, with passwords, or to what is no URL", async () => {
    for (const url of ["file:///etc/passwd", "ftp://a", "data:application/json,{}", "", "/x", "https://a:b@c"])
      await assert.rejects(outside.getJson(url), reasonIs("HTTP_EGRESS_DENIED"), url);
  });

  test("over TLS only to whom the authorities know", async (t) => {
    const certificates = makeCertificates();
    if (!certificates) return t.skip("no openssl");
    closing.push(() => certificates.dispose());
    const { ca, cert, key, caFile } = certificates;
    const asked: unknown[] = [];
    const server = createSecureServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, (req, res) => {
      asked.push((req.socket as unknown as { authorized: boolean }).authorized);
      res.end("{}");
    });
    const port = await listen(server);
    const egress = { allow: ["localhost", "127.0.0.1"] };
    await assert.rejects(
      createHttpFetcher({ clock, egress }).getJson(`https://localhost:${port}`),
      reasonIs("HTTP_UNREACHABLE"),
    );
    const trusting = createHttpFetcher({ clock, egress, tls: { ca: caFile } });
    assert.equal((await trusting.getJson(`https://localhost:${port}`)).status, 200);
    assert.equal((await trusting.getJson(`https://127.0.0.1:${port}`)).status, 200);
    const other = createHttpFetcher({ clock, egress, tls: { ca, serverName: "other.example" } });
    await assert.rejects(other.getJson(`https://localhost:${port}`), reasonIs("HTTP_UNREACHABLE"));
    const known = createHttpFetcher({ clock, egress, tls: { ca, cert, key } });
    await known.getJson(`https://localhost:${port}`);
    assert.deepEqual(asked, [false, false, true]);
  });

  test("wrong options stop the start", () => {
    const wrong = { reason: "HTTP_TLS_UNUSABLE" };
    assert.throws(() => createHttpFetcher({ clock, tls: { cert: "/nowhere.pem" } }), wrong);
    assert.throws(() => createHttpFetcher({ clock, tls: { ca: "/nowhere.pem" } }), wrong);
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    assert.throws(() => createHttpFetcher({ clock, tls: { cert: broken, key: broken } }), wrong);
    assert.throws(() => createHttpFetcher({ clock, egress: { allow: ["a b"] } }), { reason: "HTTP_EGRESS_WRONG" });
  });
});
