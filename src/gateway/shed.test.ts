import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallContext } from "../base/index.ts";
import { createManualClock, systemClock, systemRandom } from "../base/index.ts";
import type { Overload } from "../resilience/index.ts";
import { createOverload, overloaded } from "../resilience/index.ts";
import { t } from "../schema/index.ts";
import { method, stream } from "../service/index.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import type { TestMethod } from "./testing.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

const text = t.Object({ text: t.String() });

/** One request at a time, whatever its criticality, unless told otherwise. */
function guard(inFlightMax = 1): Overload {
  return createOverload({ clock: systemClock, random: systemRandom, inFlightMax, loopDelay: () => 0 });
}

interface Stage {
  readonly port: number;
  readonly gateway: Gateway;
  readonly overload: Overload;
  /** Contexts of the calls that ran. */
  readonly seen: CallContext[];
  /** Ends all calls that wait. */
  release(): void;
}

async function open(options: Partial<GatewayOptions> & { readonly room?: number } = {}): Promise<Stage> {
  const { room, ...rest } = options;
  const seen: CallContext[] = [];
  const waiting: (() => void)[] = [];
  const overload = options.overload ?? guard(room);
  const hold = async (_message: unknown, context: CallContext) => {
    seen.push(context);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return { text: "x" };
  };
  const answer = async (_message: unknown, context: CallContext) => {
    seen.push(context);
    return { text: "x" };
  };
  const get = (path: `/${string}`, extra = {}) =>
    method({ http: `GET ${path}`, access: "public", response: text, ...extra });
  const methods: Record<string, TestMethod> = {
    hold: { method: get("/hold"), handle: hold },
    quick: { method: get("/quick"), handle: answer },
    hurried: { method: get("/hurried", { deadline: "60ms" }), handle: answer },
    vital: { method: get("/vital", { criticality: "critical_plus" }), handle: answer },
    idle: { method: get("/idle", { criticality: "sheddable" }), handle: answer },
    add: {
      method: method({ http: "POST /add", access: "public", request: t.Object({ n: t.Integer() }), response: text }),
      handle: answer,
    },
    feed: {
      method: stream({ http: "GET /feed", access: "public", item: text }),
      async *handle() {
        yield { text: "1" };
        await new Promise<void>((resolve) => waiting.push(resolve));
        yield { text: "2" };
      },
    },
  };
  const gateway = testGateway(methods, { overload, ...rest });
  running.push(gateway);
  const { port } = await gateway.start();
  return {
    port,
    gateway,
    overload,
    seen,
    release: () => {
      for (const end of waiting.splice(0)) end();
    },
  };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !what(); i++) await sleep(5);
  assert.ok(what());
}

test("without room a request waits, and runs when somebody leaves", async () => {
  const { port, overload, seen, release } = await open();
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  const second = ask(port, request("GET /quick"));
  await until(() => overload.stats.queued === 1);
  release();
  assert.deepEqual([(await first).status, (await second).status, seen.length], [200, 200, 2]);
  assert.deepEqual([overload.stats.inFlight, overload.stats.queued], [0, 0]);
});

test("who has waited for 100 ms is refused, with a problem that all servers share and a time to come back", async () => {
  const { port, overload, seen, release } = await open({ cors: { origins: ["https://a.example"] } });
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  const startedAt = systemClock.now();
  const shed = await ask(port, request("GET /quick", { origin: "https://a.example", "x-request-id": "r1" }));
  const tookMs = systemClock.now() - startedAt;
  assert.ok(tookMs >= 90 && tookMs < 1_000, `${tookMs}`);
  assert.equal(shed.status, 503);
  const problem = JSON.parse(shed.body);
  assert.deepEqual(
    [problem.type, problem.status, problem.reason, problem.executed],
    ["https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", 503, "OVERLOADED", "no"],
  );
  assert.match(shed.headers["retry-after"] ?? "", /^[123]$/);
  assert.equal(shed.headers["content-type"], "application/problem+json");
  assert.equal(shed.headers["access-control-allow-origin"], "https://a.example", "a browser may read it");
  assert.equal(shed.headers["x-request-id"], "r1");
  assert.equal(seen.length, 1, "nothing ran");
  assert.equal(overload.stats.shed(2).wait, 1);
  release();
  await first;
});

test("who has little time waits for half of it", async () => {
  const { port, seen, release } = await open();
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  const startedAt = systemClock.now();
  assert.equal((await ask(port, request("GET /hurried"))).status, 503);
  assert.ok(systemClock.now() - startedAt < 90);
  release();
  await first;
});

test("a refused request with a body leaves its connection usable, and one with a large body is answered first", async () => {
  const { port, seen, release } = await open();
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  const add = request("POST /add", {}, '{"n":1}');
  const { answers, closed } = await talk(port, [add, 300, add], { answers: 2 });
  assert.deepEqual([answers.map(({ status }) => status), closed], [[503, 503], false]);
  assert.match(answers[0]?.headers["retry-after"] ?? "", /^[123]$/);
  const large = await talk(port, [request("POST /add", { "Content-Length": "500000" }, "{")], { answers: 1 });
  assert.equal(large.answers[0]?.status, 503);
  release();
  await first;
  assert.equal(seen.length, 1);
});

test("the queue serves what matters more first, and evicts what matters least", async () => {
  const { port, overload, seen, release } = await open({ room: 2 });
  const held = [ask(port, request("GET /hold"))];
  await until(() => seen.length === 1);
  // Two may be in flight, one of them only for what is critical_plus.
  const vital = await ask(port, request("GET /vital"));
  assert.equal(vital.status, 200);
  const idle = [ask(port, request("GET /idle")), ask(port, request("GET /idle"))];
  await until(() => overload.stats.queued === 2);
  const quick = ask(port, request("GET /quick"));
  await until(() => overload.stats.shed(0).limit === 1);
  release();
  const statuses = (await Promise.all(idle)).map(({ status }) => status).sort();
  assert.deepEqual([statuses, (await quick).status], [[200, 503], 200]);
  assert.deepEqual(
    seen.map(({ criticality }) => criticality),
    [2, 3, 2, 0],
  );
  await Promise.all(held);
});

test("a client that goes away while it waits takes no place", async () => {
  const { port, gateway, overload, seen, release } = await open();
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  await talk(port, [request("GET /quick"), 5], { quietMs: 10 });
  await until(() => gateway.stats.connections === 1);
  release();
  await first;
  await until(() => overload.stats.queued === 0);
  assert.deepEqual([seen.length, overload.stats.inFlight], [1, 0]);
});

test("a stream that has begun gives its place back", async () => {
  const { port, overload, release } = await open();
  const feed = talk(port, [request("GET /feed")], { answers: 1 });
  await until(() => overload.stats.inFlight === 0 && running[0]?.stats.streams === 1);
  assert.equal((await ask(port, request("GET /quick"))).status, 200);
  release();
  await feed;
  assert.equal(overload.stats.inFlight, 0);
});

test("a body that trickles in takes nobody's place and says nothing of how slow the process is", async () => {
  const { port, gateway, overload, seen } = await open();
  const head = ["POST /add HTTP/1.1", "Host: a", "Content-Type: application/json", "Content-Length: 7"].join("\r\n");
  const slow = talk(port, [`${head}\r\n\r\n{"n"`, 150, ":1}"], { answers: 1 });
  await until(() => gateway.stats.inFlight === 1);
  assert.equal(overload.stats.inFlight, 0);
  assert.equal((await ask(port, request("GET /quick"))).status, 200);
  assert.equal((await slow).answers[0]?.status, 200);
  assert.equal(seen.length, 2);
  assert.equal(overload.stats.inFlight, 0);
});

test("a message that is whole only when there is no room waits, and is refused after 100 ms", async () => {
  const { port, gateway, overload, seen, release } = await open();
  const head = ["POST /add HTTP/1.1", "Host: a", "Content-Type: application/json", "Content-Length: 7"].join("\r\n");
  const slow = talk(port, [`${head}\r\n\r\n{"n"`, 100, ":1}"], { answers: 1 });
  await until(() => gateway.stats.inFlight === 1);
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  assert.equal((await slow).answers[0]?.status, 503);
  release();
  assert.equal((await first).status, 200);
  assert.deepEqual([seen.length, overload.stats.inFlight], [1, 0]);
});

test("slow senders do not shut the process for everybody", async () => {
  const clock = createManualClock();
  const overload = createOverload({ clock, random: systemRandom, inFlightMax: 100, loopDelay: () => 0 });
  const { port, gateway } = await open({ overload, clock });
  const add = request("POST /add", {}, '{"n":1}');
  const second = async (slow: number) => {
    const head = ["POST /add HTTP/1.1", "Host: a", "Content-Type: application/json", "Content-Length: 7"].join("\r\n");
    const senders = Array.from({ length: slow }, () => connect(port, "127.0.0.1"));
    for (const sender of senders) sender.write(`${head}\r\n\r\n{"n"`);
    await until(() => gateway.stats.inFlight === slow);
    for (let i = 0; i < 12; i++) assert.equal((await ask(port, add)).status, 200);
    await clock.advance(1_100);
    for (const sender of senders) sender.write(":1}");
    for (const sender of senders) assert.match(String(await once(sender, "data")), /^HTTP\/1\.1 200/);
    for (const sender of senders) sender.destroy();
  };
  for (let i = 0; i < 3; i++) await second(0);
  for (let i = 0; i < 6; i++) await second(20);
  assert.equal(overload.stats.limit, 100);
});

test("who reads slowly takes no place any more once the head of the answer is out", async () => {
  const mounted = (_req: IncomingMessage, res: ServerResponse) => {
    res.writeHead(200);
    res.write("x");
    setTimeout(() => res.end(), 200);
  };
  const { port, gateway, overload } = await open({ mounts: [{ path: "/old", access: "public", handler: mounted }] });
  const old = ask(port, request("POST /old/a", {}, "{}"));
  await until(() => gateway.stats.inFlight === 1);
  assert.equal(overload.stats.inFlight, 0);
  assert.equal((await ask(port, request("GET /quick"))).status, 200);
  assert.equal((await old).status, 200);
  assert.equal(overload.stats.inFlight, 0);
});

test("a mount that reads its body has a place while it works on the whole of it", async () => {
  const ends: (() => void)[] = [];
  const mounted = (req: IncomingMessage, res: ServerResponse) => {
    req.resume();
    req.on("end", () => ends.push(() => res.end()));
  };
  const { port, overload } = await open({ mounts: [{ path: "/old", access: "public", handler: mounted }] });
  const old = ask(port, request("POST /old/a", {}, "{}"));
  await until(() => ends.length === 1);
  assert.equal(overload.stats.inFlight, 1);
  ends[0]?.();
  assert.equal((await old).status, 200);
  assert.equal(overload.stats.inFlight, 0);
});

test("the refusal of a callee is passed on as one, with a time to come back", async () => {
  const gateway = testGateway(
    {
      a: {
        method: method({ http: "GET /a", access: "public", response: text }),
        handle: async () => {
          throw overloaded;
        },
      },
    },
    {},
  );
  running.push(gateway);
  const { port } = await gateway.start();
  const answer = await ask(port, request("GET /a"));
  assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "2"]);
});

test("what is no route, and a page, are served without asking", async () => {
  const { port, seen, release } = await open({ pages: [{ path: "/docs", contentType: "text/plain", body: "x" }] });
  const first = ask(port, request("GET /hold"));
  await until(() => seen.length === 1);
  assert.equal((await ask(port, request("GET /docs"))).status, 200);
  assert.equal((await ask(port, request("GET /nothing"))).status, 404);
  release();
  await first;
});
