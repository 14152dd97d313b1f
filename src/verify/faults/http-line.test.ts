import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, describe, test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { createHttpLine } from "./http-line.ts";
import type { Step } from "./pipe.ts";
import type { FaultProxy } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";
import type { FaultRule } from "./rule.ts";
import { createRuleBook } from "./rule.ts";

const served: string[] = [];
const server = createServer((message, answer) => {
  let body = "";
  message.setEncoding("utf8").on("data", (chunk) => {
    body += chunk;
  });
  message.on("end", () => {
    served.push(`${message.method} ${message.url} ${body}`);
    answer.statusCode = message.method === "POST" ? 201 : 200;
    if (message.url === "/chunks") for (const word of ["a", "bc", "def"]) answer.write(word);
    answer.end(message.url === "/chunks" ? "" : `${served.length}`);
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const agent = new Agent({ keepAlive: true });

describe("faults on an HTTP line", () => {
  after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  let proxy: FaultProxy;
  const open = async (...rules: Omit<FaultRule, "name">[]): Promise<void> => {
    served.length = 0;
    const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    proxy = await createFaultProxy({ target, protocol: "http" });
    for (const rule of rules) await proxy.plan({ name: rule.match, ...rule });
  };
  afterEach(() => proxy.close());
  const ask = (method: string, path: string, body = "", headers = {}): Promise<string> =>
    new Promise((resolve) => {
      const sent = request(
        { port: proxy.port, host: "127.0.0.1", method, path, headers, agent },
        (answer: IncomingMessage) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (chunk) => {
            text += chunk;
          });
          answer.on("end", () => resolve(`${answer.statusCode} ${text}`));
        },
      );
      sent.on("error", (thrown: NodeJS.ErrnoException) => resolve(thrown.code ?? "error"));
      sent.end(body);
    });

  test("a request whose response is lost was carried out", async () => {
    await open({ match: "^POST /orders", action: "cut-reply" });
    assert.equal(await ask("POST", "/orders", "one"), "ECONNRESET");
    assert.equal(await ask("POST", "/orders", "two"), "201 2");
    assert.deepEqual(served, ["POST /orders one", "POST /orders two"]);
    assert.equal((await proxy.hits())[0]?.answer, "201");
  });

  test("a request is cut off before it arrives, or arrives late", async () => {
    await open(
      { match: "^POST /a", action: "cut-request" },
      { match: "^GET /b", action: "delay-request", delayMs: 70 },
    );
    assert.equal(await ask("POST", "/a", "x"), "ECONNRESET");
    const startedAt = systemClock.now();
    assert.equal(await ask("GET", "/b"), "200 1");
    assert.ok(systemClock.now() - startedAt >= 65);
    assert.deepEqual(served, ["GET /b "]);
  });

  test("a duplicate is served twice and answered once", async () => {
    await open({ match: "^POST /a", action: "duplicate" });
    assert.equal(await ask("POST", "/a", "body", { "transfer-encoding": "chunked" }), "201 1");
    const endAt = systemClock.now() + 3000;
    while (served.length < 2 && systemClock.now() < endAt) await systemClock.sleep(5);
    assert.deepEqual(served, ["POST /a body", "POST /a body"]);
  });

  test("a request that closes its connection cannot be duplicated on it, and counts as no hit", async () => {
    await open({ match: "^POST /a", action: "duplicate" });
    assert.equal(await ask("POST", "/a", "body", { connection: "close" }), "201 1");
    assert.deepEqual([served.length, await proxy.hits()], [1, []]);
  });

  test("chunks pass whole", async () => {
    await open({ match: "^GET /never", action: "cut-reply" });
    assert.equal(await ask("GET", "/chunks"), "200 abcdef");
  });
});

describe("the reader of HTTP", () => {
  const reader = (...rules: Omit<FaultRule, "name">[]) => {
    const book = createRuleBook("http");
    for (const rule of rules) book.add({ name: rule.match, ...rule });
    let unread = 0;
    const line = createHttpLine({ judge: book.judge, dropped() {}, bite() {}, unread: () => void unread++ });
    return { line, book, unread: () => unread };
  };
  const textOf = (steps: readonly Step[]) =>
    steps.map((step) => (step.kind === "bytes" ? step.bytes.toString() : `<${step.kind}>`)).join("");
  const get = (path: string, method = "GET") => `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

  test("finds the reply of one of many requests, byte by byte", () => {
    const { line, book } = reader({ match: "/two$", action: "lose-reply" });
    const up = get("/one", "HEAD") + get("/none") + get("/two") + get("/three");
    assert.equal([...up].map((byte) => textOf(line.up(Buffer.from(byte)))).join(""), up);
    const early =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n";
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nTrailer: x\r\n\r\n";
    const down = [...(early + chunked + ok)].map((byte) => textOf(line.down(Buffer.from(byte)))).join("");
    assert.equal(down, `${early}<silence>${ok}`);
    assert.equal(book.hits[0]?.answer, "200");
  });

  test("takes a reply without a length at its head", () => {
    const { line } = reader({ match: "/a", action: "cut-reply" });
    line.up(Buffer.from(get("/a")));
    assert.equal(textOf(line.down(Buffer.from("HTTP/1.1 200 OK\r\n\r\nsome"))), "<cut>some");
  });

  test("lets an upgrade and what is no HTTP pass unread", () => {
    const { line, unread } = reader({ match: ".", action: "delay-reply", delayMs: 1 });
    line.up(Buffer.from(get("/socket")));
    assert.match(textOf(line.down(Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00"))), /Protocols/);
    assert.equal(textOf(line.up(Buffer.from("\x81\x80"))), "\x81\x80");
    assert.equal(unread(), 1);
    const other = reader({ match: ".", action: "cut-request" });
    assert.equal(textOf(other.line.up(Buffer.from("\x16\x03\x01\r\n\r\n"))), "\x16\x03\x01\r\n\r\n");
    const endless = reader({ match: ".", action: "cut-request" });
    assert.equal(textOf(endless.line.up(Buffer.alloc(70_000, "a"))).length, 70_000);
    const broken = reader({ match: "never", action: "cut-request" });
    broken.line.up(Buffer.from("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"));
    assert.equal(broken.unread(), 1);
  });
});
