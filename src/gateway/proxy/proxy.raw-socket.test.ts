import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { ask, request, talk, testGateway } from "../testing.ts";
import { realUpstream } from "./proxy.fixture.ts";
import type { OutsideRoute } from "./route.ts";

/** What reaches an outside system, byte for byte. It answers each connection's first request, then closes. */
async function recording(t: TestContext, answer?: string) {
  const received: string[] = [];
  const server = createServer((socket) => {
    const at = received.push("") - 1;
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      const text = `${received[at]}${chunk}`;
      received[at] = text;
      const isWhole =
        text.includes("\r\n\r\n") && (!/transfer-encoding: chunked/i.test(text) || text.includes("0\r\n\r\n"));
      if (isWhole)
        socket.end(answer ?? "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", "latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => void server.close());
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const routes: OutsideRoute[] = [
    { path: "/legacy/*", upstream: "legacy", access: "public" },
    { path: "/legacy/admin/*", upstream: "legacy", access: "public", methods: ["PUT"] },
  ];
  const upstreams = new Map([["legacy", await realUpstream(t, "legacy", target, { retry: false })]]);
  const gateway = testGateway({}, { outside: { upstreams, routes } });
  const { port } = await gateway.start();
  t.after(() => gateway.stop());
  return { port, received, text: () => received.join("") };
}

const hidden = "GET /legacy/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

for (const [what, bytes] of [
  [
    "Content-Length and Transfer-Encoding",
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  ],
  [
    "Transfer-Encoding before Content-Length",
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${hidden}0\r\n\r\n`,
  ],
  ["two lengths", `POST /legacy/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n${hidden}`],
  ["a list of lengths", `POST /legacy/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 44\r\n\r\n${hidden}`],
  ["a length with a sign", `POST /legacy/a HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n${hidden}`],
  [
    "a folded header",
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n${hidden}`,
  ],
  [
    "a space before the colon",
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
  ],
  ["an unknown coding", `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
  [
    "two codings",
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n${hidden}`,
  ],
  ["a bare line feed in the head", `POST /legacy/a HTTP/1.1\r\nHost: a\nX: y\r\nContent-Length: 0\r\n\r\n${hidden}`],
  ["a carriage return in a value", `GET /legacy/a HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n${hidden}`],
  ["two hosts", `GET /legacy/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${hidden}`],
  [
    "a coding in HTTP/1.0",
    `POST /legacy/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  ],
] as const) {
  test(`${what}: refused, closed, and nothing reaches the outside system`, async (t) => {
    const { port, received } = await recording(t);
    const { answers, closed } = await talk(port, bytes);
    assert.ok(closed);
    assert.equal(answers.length, 1);
    assert.ok([400, 501].includes(answers[0]?.status ?? 0), String(answers[0]?.status));
    assert.deepEqual(received, []);
  });
}

test("a chunked body is framed anew, without its extensions and trailers", async (t) => {
  const { port, text } = await recording(t);
  const body = "5;ext=1\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n";
  await ask(
    port,
    `POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n${body}`,
  );
  assert.match(text(), /\r\ntransfer-encoding: chunked\r\n/i);
  assert.match(text(), /\r\n5\r\nhello\r\n0\r\n\r\n$/);
  assert.doesNotMatch(text(), /ext=1|X-Trailer/i);
});

test("a body that breaks off half way ends the exchange, and is never completed", async (t) => {
  const { port, text } = await recording(t);
  const { answers, closed } = await talk(
    port,
    "POST /legacy/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel\r\nGET /x",
  );
  assert.ok(closed);
  assert.notEqual(answers[0]?.status, 200);
  await systemClock.sleep(50);
  assert.doesNotMatch(text(), /0\r\n\r\n$/);
});

test("Connection lists nothing away that the gateway says, and frames nothing", async (t) => {
  const { port, text } = await recording(t);
  await ask(
    port,
    request("POST /legacy/a", { Connection: "X-Forwarded-For, X-Request-Id, Content-Length, Via, Host" }, "hello"),
  );
  for (const name of [
    "x-forwarded-for: 127.0.0.1",
    "x-request-id: ",
    "content-length: 5",
    "via: 1.1 plinth",
    "host: 127",
  ]) {
    assert.ok(text().includes(`\r\n${name}`), `${name} in ${text()}`);
  }
  assert.equal(text().match(/^content-length/gim)?.length, 1);
});

test("a made-up host reaches nobody as a host: it is 400 where it is none", async (t) => {
  const { port, received, text } = await recording(t);
  for (const host of ["a@evil.example", "a, b", "a/../b", "evil.example:99999999"]) {
    assert.equal((await ask(port, request("GET /legacy/a", { Host: host }))).status, 400, host);
  }
  assert.deepEqual(received, []);
  await ask(port, request("GET /legacy/a", { Host: "evil.example" }));
  assert.match(text(), /\r\nhost: 127\.0\.0\.1:\d+\r\n/i);
});

test("the path of a stricter route cannot be spelt around it", async (t) => {
  const { port, text } = await recording(t);
  for (const path of [
    "/legacy/%61dmin/x",
    "/legacy/./admin/x",
    "/legacy/a/..%2fadmin/x",
    "/legacy//admin/x",
    "/legacy/admin;/x",
    "/legacy/admin%2Fx",
  ]) {
    const { status } = await ask(port, request(`GET ${path}`));
    assert.ok(status === 400 || status === 405, `${path} ${status}`);
  }
  assert.doesNotMatch(text(), /admin/);
});

test("an answer that nobody could read is 502, and its bytes go nowhere", async (t) => {
  for (const answer of [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "nonsense\r\n\r\n",
  ]) {
    const { port } = await recording(t, answer);
    const { status, body } = await ask(port, request("GET /legacy/a"));
    assert.ok(status >= 500, `${status}: ${answer}`);
    assert.doesNotMatch(body, /nonsense/);
  }
});

test("an answer cannot set what only the edge says, nor headers of the connection", async (t) => {
  const { port } = await recording(
    t,
    "HTTP/1.1 200 OK\r\nX-Own: 1\r\nX-Gone: 2\r\nConnection: close, X-Gone\r\nAccess-Control-Allow-Origin: *\r\nKeep-Alive: timeout=5\r\ncontent-length: 2\r\n\r\nok",
  );
  const { headers } = await ask(port, request("GET /legacy/a", { Origin: "https://evil.example" }));
  assert.equal(headers["x-own"], "1");
  assert.equal(headers["x-gone"], undefined);
  assert.equal(headers["access-control-allow-origin"], undefined);
});
