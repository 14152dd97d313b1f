/**
 * Hundreds of requests of all kinds at targets that do whatever targets do, with clients that leave at any moment. What is
 * looked at is what must hold in each mixture: every request ends once, nothing stays behind, and what may be done once is done
 * once.
 */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import type { Random } from "../base/index.ts";
import { createSeededRandom, error, systemClock } from "../base/index.ts";
import { createBench, requestOf } from "./upstream.fixture.ts";
import type { Upstream } from "./upstream.ts";

const bench = createBench();
after(() => bench.close());

type Behaviour = (req: IncomingMessage, res: ServerResponse) => void;

/** Says that it did nothing, which lets others do it. */
const refuse: Behaviour = (_, res) => {
  res.writeHead(503, { "content-type": "application/problem+json", "content-length": "17" }).end('{"executed":"no"}');
};

const behaviours: readonly Behaviour[] = [
  refuse,
  (req, res) => req.resume().once("end", () => res.end("ok")),
  (req, res) => req.resume().once("end", () => res.end("x".repeat(200_000))),
  (_, res) => res.writeHead(200, { "content-length": "2" }).end("ok"),
  (req, res) => req.resume().once("end", () => systemClock.after(25, () => res.end("late"))),
  (_, res) => res.writeHead(500).end("sick"),
  (_, res) => res.writeHead(503, { "retry-after": "1", connection: "close" }).end("busy"),
  (req) => void req.socket.destroy(),
  (req) => void req.once("data", () => req.socket.resetAndDestroy()).once("end", () => req.socket.destroy()),
  (_, res) => void res.writeHead(200, { "content-length": "100" }).write("half", () => res.destroy()),
  (_, res) => void res.writeHead(200).write("x".repeat(100_000)),
  () => {},
];

const methods = ["GET", "GET", "POST", "PUT", "DELETE", "HEAD"] as const;

function bodyOf(method: string, random: Random): Buffer | Readable | undefined {
  if (method === "GET" || method === "HEAD" || random.next() < 0.2) return undefined;
  if (random.next() < 0.5) return Buffer.alloc(1 + Math.floor(random.next() * 50_000));
  const pieces = Math.floor(random.next() * 20);
  return Readable.from(
    (function* () {
      for (let i = 0; i < pieces; i++) yield Buffer.alloc(10_000);
    })(),
  );
}

interface Outcome {
  readonly id: string;
  readonly method: string;
  readonly result: string;
}

async function one(upstream: Upstream, id: string, random: Random): Promise<Outcome> {
  const method = methods[Math.floor(random.next() * methods.length)] as string;
  const request = requestOf({
    method,
    headers: ["x-id", id],
    body: bodyOf(method, random),
    remainingMs: 500 + random.next() * 700,
  });
  const leaves = random.next() < 0.3;
  if (leaves) systemClock.after(random.next() * 300, () => request.cancel(error("cancelled", "Gone.")));
  let result: string;
  try {
    const answer = await upstream.forward(request);
    result = `${answer.status}`;
    if (random.next() < 0.1) answer.body?.destroy();
    else if (answer.body) {
      // A gateway would watch for this long that something comes.
      const stop = systemClock.after(500, () => request.cancel(error("cancelled", "Gone.")));
      for await (const _ of answer.body);
      stop();
    }
  } catch (thrown) {
    result = (thrown as { reason?: string }).reason ?? `no error of ours: ${thrown}`;
  }
  return { id, method, result };
}

for (const seed of [1, 4]) {
  test(`every request ends once and nothing stays behind (mixture ${seed})`, async () => {
    const random = createSeededRandom(seed);
    const deliveries = new Map<string, number>();
    const effects = new Map<string, number>();
    const targets = await Promise.all(
      [0, 1, 2].map(() =>
        bench.target((req, res) => {
          const id = req.headers["x-id"] as string;
          const count = (counts: Map<string, number>) => counts.set(id, (counts.get(id) ?? 0) + 1);
          count(deliveries);
          req.on("error", () => {});
          res.on("error", () => {});
          // The first target is mostly well, so that there is something to go on with.
          const pick = req.socket.localPort === targets[0]?.port ? 0.4 : 1;
          const behaviour = behaviours[Math.floor(random.next() * behaviours.length * pick)] as Behaviour;
          if (behaviour !== refuse) count(effects);
          behaviour(req, res);
        }),
      ),
    );
    const upstream = bench.upstream({
      targets: [...targets.map(({ url }) => url), "http://127.0.0.1:1"],
      balance: seed === 1 ? "round-robin" : "p2c",
      outliers: seed === 1 ? false : {},
      breaker: false,
      retry: { budget: 1, tryTimeout: "400ms" },
      hedge: { after: "15ms" },
    });
    await upstream.start();
    const outcomes: Outcome[] = [];
    for (let wave = 0; wave < 3; wave++) {
      const ids = Array.from({ length: 80 }, (_, i) => `${wave}-${i}`);
      outcomes.push(...(await Promise.all(ids.map((id) => one(upstream, id, random)))));
    }
    await upstream.drain();
    assert.equal(outcomes.length, 240);
    assert.ok(upstream.states().every(({ inFlight }) => inFlight === 0));
    assert.equal(await upstream.value("plinth_upstream_in_flight"), 0);
    const strange = outcomes.filter(({ result }) => !/^\d{3}$|^UPSTREAM_[A-Z_]+$|^CANCELLED$|^ABORT/.test(result));
    assert.deepEqual(strange, []);
    const doubled = outcomes.filter(({ id, method }) => method === "POST" && (effects.get(id) ?? 0) > 1);
    assert.deepEqual(doubled, []);
    assert.ok([...deliveries.values()].every((count) => count <= 3));
    // The mixture is one: good and bad ends, and further tries.
    const kinds = new Set(outcomes.map(({ result }) => result));
    assert.ok(kinds.has("200") && kinds.has("CANCELLED") && kinds.size >= 3, [...kinds].join());
    assert.ok((await upstream.value("plinth_upstream_retries_total")) > 10);
  });
}
