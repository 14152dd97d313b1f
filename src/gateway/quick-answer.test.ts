import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { after, before, mock, test } from "node:test";
import { systemClock } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { GatewayResponse, QuickAnswers, quickHead } from "./quick-answer.ts";
import { request, talk, testGateway } from "./testing.ts";

const sayRequest = t.Object({ text: t.Optional(t.String()) });
const methods = {
  say: {
    method: method({
      http: "GET /say",
      access: "public",
      deprecated: { since: "2026-01-01" },
      request: sayRequest,
      response: t.Object({ text: t.String() }),
    }),
    handle: ({ text = "hello" }: { text?: string }) => ({ text }),
  },
};
let gateway: Gateway;
let port = 0;
const writeHead = mock.method(ServerResponse.prototype, "writeHead");

before(async () => {
  gateway = testGateway(methods, { cors: { origins: ["https://shop.example"] } });
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

/** Asks several times on one connection; gives the answers as text, without their dates, and how many Node wrote. */
async function askEach(...requests: readonly string[]) {
  writeHead.mock.resetCalls();
  const { text } = await talk(
    port,
    requests.flatMap((each) => [each, 50]),
    { answers: requests.length, quietMs: 500 },
  );
  const answers = text.split(/(?=HTTP\/1\.1 )/).map((each) => {
    const date = /\r\nDate: ([^\r]+)\r\n/.exec(each)?.[1] ?? "";
    assert.ok(Math.abs(Date.parse(date) - Date.now()) < 3000, `the date is ${date}`);
    return each.replace(date, "now");
  });
  return { answers, byNode: writeHead.mock.callCount() };
}

test("what is written at once is, byte for byte, what Node writes", async () => {
  const asked = request("GET /say", { origin: "https://shop.example", "x-request-id": "r-1" });
  const { answers, byNode } = await askEach(asked, asked, asked);
  assert.equal(answers.length, 3);
  assert.equal(byNode, 1, "Node writes the first, from which the others are known");
  assert.match(
    answers[0] as string,
    /\r\nx-request-id: r-1\r\n[\s\S]*\r\nKeep-Alive: timeout=75\r\n\r\n\{"text":"hello"\}$/,
  );
  assert.match(answers[0] as string, /\r\naccess-control-allow-origin: https:\/\/shop\.example\r\n/);
  assert.match(answers[0] as string, /\r\ndeprecation: @\d+\r\n/);
  assert.deepEqual(answers, Array(3).fill(answers[0]));
});

test("text that is more than ASCII, HEAD, and answers that close the connection are Node's to write", async () => {
  const plain = request("GET /say");
  const beyond = await askEach(plain, request("GET /say?text=%C3%A9%E2%82%AC"), plain);
  assert.equal(beyond.byNode, 1);
  const [first, second, third] = beyond.answers as [string, string, string];
  assert.match(
    second,
    /^HTTP\/1\.1 200 OK\r\ncontent-length: 16\r\n[\s\S]*\r\n\r\n\{"text":"\u00c3\u00a9\u00e2\u0082\u00ac"\}$/,
  );
  assert.equal(first, third);
  const head = await askEach(request("HEAD /say"), request("GET /say", { connection: "close" }));
  assert.equal(head.byNode, 2);
  assert.match(head.answers[0] as string, /\r\ncontent-length: 16\r\n[\s\S]*\r\n\r\n$/);
  assert.match(head.answers[1] as string, /\r\nConnection: close\r\n\r\n\{"text":"hello"\}$/);
});

test("answers to requests that came together keep their order", async () => {
  const both = request("GET /say?text=a") + request("GET /say?text=b") + request("GET /say?text=c");
  const { text } = await talk(port, both, { answers: 3 });
  assert.deepEqual(text.match(/\{"text":"."\}/g), ['{"text":"a"}', '{"text":"b"}', '{"text":"c"}']);
});

const head = quickHead(200, ["content-length", "0", "content-type", "text/plain"]);
const answer = () => {
  const res = new GatewayResponse(new IncomingMessage(new Socket()));
  res.shouldKeepAlive = true;
  // Of the server, for each of its answers.
  Object.assign(res, { _keepAliveTimeout: 75_000 });
  return res;
};
const prove = (quick: QuickAnswers, res: GatewayResponse) =>
  quick.writeHead(res, head, "", ["content-length", "2", "content-type", "text/plain"]);

test("nothing is written at once before Node has shown how it writes, nor where it does it otherwise", () => {
  const quick = new QuickAnswers(systemClock, 75_000);
  assert.equal(quick.takes(answer()), false);
  prove(quick, answer());
  assert.equal(quick.takes(answer()), true);

  const other = new QuickAnswers(systemClock, 5000);
  prove(other, answer());
  assert.equal(other.takes(answer()), false, "another time to keep connections");

  const changed = new QuickAnswers(systemClock, 75_000);
  const strange = answer();
  const { writeHead } = strange;
  strange.writeHead = ((...given: Parameters<typeof writeHead>) => {
    Object.assign(strange, { chunkedEncoding: true });
    return writeHead.apply(strange, given);
  }) as typeof writeHead;
  prove(changed, strange);
  assert.equal(changed.takes(answer()), false, "a field of the answer that is not known");

  const late = new QuickAnswers({ ...systemClock, wallNow: () => 0 }, 75_000);
  prove(late, answer());
  assert.equal(late.takes(answer()), false, "another time of day");
});

test("an answer that somebody has written to is Node's", () => {
  const quick = new QuickAnswers(systemClock, 75_000);
  prove(quick, answer());
  const changes: readonly ((res: GatewayResponse) => unknown)[] = [
    (res) => res.setHeader("a", "b"),
    (res) => res.appendHeader("a", "b"),
    (res) => res.writeHead(200),
    (res) => Object.assign(res, { statusMessage: "Fine" }),
    (res) => Object.assign(res, { sendDate: false }),
    (res) => Object.assign(res, { shouldKeepAlive: false }),
  ];
  for (const change of changes) {
    const res = answer();
    change(res);
    assert.equal(quick.takes(res), false, String(change));
  }
  assert.equal(quick.takes(new ServerResponse(new IncomingMessage(new Socket()))), false);
});
