import assert from "node:assert/strict";
import { test } from "node:test";
import type { Trace } from "../base/index.ts";
import { createManualClock, createSeededRandom, StartError } from "../base/index.ts";
import { createMemoryDestination } from "./memory-destination.ts";
import { createRedactor } from "./redactor.ts";
import type { SpanData } from "./span.ts";
import { createSpanLines } from "./span-lines.ts";
import type { TracerOptions } from "./tracer.ts";
import { createTracer } from "./tracer.ts";

const setup = (options: TracerOptions = {}) => {
  const clock = createManualClock(1_000_000);
  const tracer = createTracer({ clock, random: createSeededRandom(7), sampleRatio: 1, ...options });
  return { clock, tracer };
};

test("a root has fresh ids, says random, and its children share its trace", () => {
  const { tracer } = setup();
  const root = tracer.start("GET /products/:id", undefined, "server");
  assert.match(root.traceparent(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
  const child = tracer.start("db", root, "client");
  assert.equal(child.traceId, root.traceId);
  assert.notEqual(child.spanId, root.spanId);
  child.end();
  root.end();
  assert.deepEqual(
    tracer.spans().map((span) => [span.name, span.kind, span.parentSpanId]),
    [
      ["db", "client", root.spanId],
      ["GET /products/:id", "server", undefined],
    ],
  );
});

test("a finished span has its times, status, attributes and links as plain data", async () => {
  const { tracer, clock } = setup();
  const other = tracer.start("other");
  await clock.advance(50);
  const span = tracer.start("work", undefined, "consumer");
  span.setAttribute("a", 1);
  span.setAttribute("a", 2);
  span.addLink(other);
  await clock.advance(25);
  span.end("error", { "error.type": "X", ok: true });
  await clock.advance(1000);
  assert.deepEqual(tracer.spans(), [
    {
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: undefined,
      tracestate: undefined,
      name: "work",
      kind: "consumer",
      startMs: 1_000_050,
      durationMs: 25,
      status: "error",
      attributes: { a: 2, "error.type": "X", ok: true },
      links: [{ traceId: other.traceId, spanId: other.spanId }],
    },
  ]);
  assert.doesNotThrow(() => structuredClone(tracer.spans()));
});

test("the parent's flags and tracestate hold, whoever the parent is", () => {
  const never = setup({ sampleRatio: 0 }).tracer;
  const header = "00-12345678901234567890123456789012-1234567890123456";
  for (const flags of ["00", "01", "02", "03"]) {
    const remote = never.parse(`${header}-${flags}`, "a=1");
    const span = never.start("x", remote);
    assert.equal(span.traceparent().slice(-2), flags);
    assert.equal(span.traceId, "12345678901234567890123456789012");
    assert.equal(span.tracestate, "a=1");
    assert.equal(span.sampled, flags === "01" || flags === "03");
    const child = never.start("y", span);
    assert.equal(child.traceparent().slice(-2), flags);
    assert.equal(child.tracestate, "a=1");
  }
  const foreign: Trace = {
    traceId: "12345678901234567890123456789012",
    spanId: "1234567890123456",
    sampled: true,
    tracestate: undefined,
    traceparent: () => `${header}-01`,
  };
  const below = never.start("z", foreign);
  below.end();
  assert.equal(never.spans()[0]?.parentSpanId, "1234567890123456");
  const broken = never.start("z", { ...foreign, traceparent: () => "nonsense" });
  assert.notEqual(broken.traceId, foreign.traceId);
});

test("samples the given share at the root, decided by the trace id alone", () => {
  const { tracer } = setup({ sampleRatio: 0.25 });
  let sampled = 0;
  for (let i = 0; i < 4000; i++) {
    const span = tracer.start("x");
    const randomness = Number.parseInt(span.traceId.slice(18), 16) / 2 ** 56;
    assert.equal(span.sampled, randomness >= 0.75);
    if (span.sampled) sampled++;
    span.end();
  }
  assert.ok(sampled > 850 && sampled < 1150, String(sampled));
  assert.equal(tracer.stats.finished, sampled);
});

test("a span that is not sampled has ids but keeps nothing and reads no clock", () => {
  let readings = 0;
  const clock = { ...createManualClock(), now: () => readings++ };
  const tracer = createTracer({ clock, sampleRatio: 0 });
  const span = tracer.start("x");
  span.setAttribute("a", 1);
  span.addLink(span);
  span.end("error", { b: 2 });
  assert.match(span.traceparent(), /-02$/);
  assert.equal(readings, 0);
  assert.deepEqual(tracer.spans(), []);
});

test("only the first end counts, and nothing is added after it", () => {
  const { tracer } = setup();
  const span = tracer.start("x");
  span.end();
  span.end("error");
  span.setAttribute("late", 1);
  span.addLink(span);
  assert.deepEqual(
    tracer.spans().map((one) => [one.status, one.attributes, one.links]),
    [["ok", {}, []]],
  );
});

test("attributes and links are bounded, and __proto__ is harmless", () => {
  const { tracer } = setup();
  const span = tracer.start("x");
  span.setAttribute("__proto__", "evil");
  span.setAttribute("long", "x".repeat(5000));
  for (let i = 0; i < 50; i++) span.setAttribute(`a${i}`, i);
  for (let i = 0; i < 50; i++) span.addLink(span);
  span.end();
  const data = tracer.spans()[0] as SpanData;
  assert.ok(Object.keys(data.attributes).length <= 32);
  assert.equal(String(data.attributes.long).length, 1024);
  assert.equal(data.links.length, 8);
  assert.equal(Object.getPrototypeOf(data.attributes), Object.prototype);
});

test("ids are never zero, whatever the dice say", () => {
  const numbers = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80000000];
  let at = 0;
  const random = { ...createSeededRandom(1), uint32: () => numbers[at++] ?? 5 };
  const span = createTracer({ random, clock: createManualClock(), sampleRatio: 1 }).start("x");
  assert.equal(span.traceId, "00000000000000000000000100000000".replace(/.*/, span.traceId));
  assert.notEqual(span.traceId, "0".repeat(32));
  assert.equal(span.spanId, "0000000080000000");
});

test("holds the last spans, oldest first, and drain takes each once", () => {
  const { tracer } = setup({ capacity: 4 });
  for (let i = 0; i < 6; i++) tracer.start(`s${i}`).end();
  assert.deepEqual(
    tracer.spans().map((span) => span.name),
    ["s2", "s3", "s4", "s5"],
  );
  assert.equal(tracer.stats.lost, 0);
  assert.equal(tracer.drain().length, 4);
  assert.equal(tracer.drain().length, 0);
  tracer.start("s6").end();
  assert.deepEqual(
    tracer.drain().map((span) => span.name),
    ["s6"],
  );
  assert.equal(tracer.stats.lost, 2);
});

test("refuses a ratio that is no share, and a capacity that is no count", () => {
  assert.throws(() => createTracer({ sampleRatio: 1.5 }), StartError);
  assert.throws(() => createTracer({ capacity: 0 }), /whole number of spans from 1/);
});

test("hands finished spans to the exporter in time, in batches, one at a time", async () => {
  const batches: number[] = [];
  let release = () => {};
  const exporter = {
    export(spans: readonly SpanData[]) {
      batches.push(spans.length);
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    },
  };
  const { tracer, clock } = setup({ exporter, capacity: 2000 });
  for (let i = 0; i < 3; i++) tracer.start("x").end();
  await clock.advance(1000);
  for (let i = 0; i < 1030; i++) tracer.start("x").end();
  await clock.advance(5000);
  assert.deepEqual(batches, [3]);
  release();
  await clock.advance(0);
  assert.deepEqual(batches, [3, 512]);
  release();
  await clock.advance(0);
  release();
  await clock.advance(0);
  assert.deepEqual(batches, [3, 512, 512, 6]);
  assert.deepEqual(tracer.drain(), []);
});

test("a full batch goes out before its time", async () => {
  const batches: number[] = [];
  const { tracer, clock } = setup({ exporter: { export: (spans) => void batches.push(spans.length) } });
  for (let i = 0; i < 512; i++) tracer.start("x").end();
  await clock.advance(0);
  assert.deepEqual(batches, [512]);
});

test("an exporter that fails costs its batch, and is counted", async () => {
  const { tracer } = setup({
    exporter: {
      export() {
        throw new Error("refused");
      },
      close() {
        throw new Error("again");
      },
    },
  });
  tracer.start("x").end();
  await tracer.close();
  assert.equal(tracer.stats.failed, 2);
});

test("an exporter that is stuck loses the oldest, is counted, and flush gives up after 5 s", async () => {
  const { tracer, clock } = setup({ capacity: 10, exporter: { export: () => new Promise(() => {}) } });
  tracer.start("x").end();
  await clock.advance(1000);
  for (let i = 0; i < 25; i++) tracer.start("x").end();
  assert.equal(tracer.stats.lost, 15);
  let done = false;
  const flushed = tracer.flush().then(() => {
    done = true;
  });
  await clock.advance(4999);
  assert.equal(done, false);
  await clock.advance(1);
  await flushed;
});

test("flush without an exporter is at once", async () => {
  await setup().tracer.flush();
  await setup().tracer.close();
});

test("span lines: one line of JSON for each span, secrets hidden", async () => {
  const destination = createMemoryDestination();
  const clock = createManualClock();
  const redactor = createRedactor();
  redactor.register("tok-123456");
  const exporter = createSpanLines({ destination, clock, service: "shop", redactor });
  const { tracer } = setup({ exporter });
  tracer.start("a").end("ok", { url: "/?t=tok-123456" });
  tracer.start("b").end();
  await tracer.close();
  assert.deepEqual(
    destination.records.map((record) => [record.service, record.name]),
    [
      ["shop", "a"],
      ["shop", "b"],
    ],
  );
  assert.equal(destination.text.includes("tok-123456"), false);
  assert.equal(exporter.droppedCount, 0);
  assert.equal(tracer.stats.exported, 2);
});
