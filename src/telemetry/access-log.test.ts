import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, createSeededRandom, StartError } from "../base/index.ts";
import type { AccessEntry, AccessLogOptions } from "./access-log.ts";
import { createAccessLog } from "./access-log.ts";
import { createMemoryDestination } from "./memory-destination.ts";
import { createRedactor } from "./redactor.ts";
import { createTracer } from "./tracer.ts";

const entry: AccessEntry = {
  method: "GET",
  route: "/products/:id",
  path: "/products/7",
  status: 200,
  durationMs: 1.23456,
  requestBytes: 0,
  responseBytes: 300,
  remote: "127.0.0.1",
  userAgent: undefined,
  subject: undefined,
  reason: undefined,
  trace: undefined,
};

const setup = (options: AccessLogOptions = {}) => {
  const destination = createMemoryDestination();
  const clock = createManualClock(Date.UTC(2026, 10, 22));
  const log = createAccessLog({
    destination,
    clock,
    random: createSeededRandom(1),
    sample: 1,
    service: "gateway",
    ...options,
  });
  return { destination, clock, log };
};

test("writes one JSON line with every fact given", async () => {
  const { log, destination, clock } = setup();
  const trace = createTracer({ clock }).start("x");
  log.write({ ...entry, userAgent: "curl", subject: "u1", reason: "X", trace });
  assert.equal(destination.text, "");
  await clock.advance(100);
  assert.deepEqual(destination.records, [
    {
      level: "info",
      time: "2026-11-22T00:00:00.000Z",
      service: "gateway",
      method: "GET",
      route: "/products/:id",
      path: "/products/7",
      status: 200,
      durationMs: 1.235,
      requestBytes: 0,
      responseBytes: 300,
      remote: "127.0.0.1",
      userAgent: "curl",
      subject: "u1",
      reason: "X",
      trace_id: trace.traceId,
      span_id: trace.spanId,
      msg: "request",
    },
  ]);
});

test("a request to an outside system names its id, its target and the tries", async () => {
  const { log, destination } = setup();
  log.write({ ...entry, requestId: "r-1", target: "http://10.0.0.2:8080", attempts: 2 });
  await log.flush();
  const { requestId, target, attempts } = destination.records[0] ?? {};
  assert.deepEqual([requestId, target, attempts], ["r-1", "http://10.0.0.2:8080", 2]);
});

test("leaves out what is not there", async () => {
  const { log, destination } = setup({});
  log.write({ ...entry, route: "" });
  await log.flush();
  const record = destination.records[0] ?? {};
  for (const name of ["route", "userAgent", "subject", "reason", "trace_id"]) assert.equal(name in record, false);
});

test("samples ordinary requests, and always writes failed and slow ones", () => {
  const { log } = setup({ sample: 0.1, slowMs: 500 });
  let taken = 0;
  for (let i = 0; i < 2000; i++) if (log.write(entry)) taken++;
  assert.ok(taken > 140 && taken < 260, String(taken));
  assert.equal(log.wants(500, 1), true);
  assert.equal(log.wants(200, 500), true);
  const none = setup({ sample: 0 }).log;
  assert.equal(none.write(entry), false);
  assert.equal(none.write({ ...entry, status: 503 }), true);
});

test("refuses a sample that is no share", () => {
  assert.throws(() => setup({ sample: 2 }), StartError);
});

test("refuses to let a request forge a line", async () => {
  const { log, destination } = setup();
  const evil = '/"}\n{"level":"fatal"}\u2028\u009b\ud800é';
  log.write({ ...entry, path: evil, userAgent: evil, method: evil, remote: evil });
  await log.flush();
  assert.equal(destination.text.split("\n").length, 2);
  assert.doesNotMatch(destination.text, /[\u2028\u009b]/);
  assert.equal(destination.records[0]?.path, evil);
});

test("cuts long paths and user agents", async () => {
  const { log, destination } = setup();
  log.write({ ...entry, path: `/${"p".repeat(5000)}`, userAgent: "u".repeat(5000) });
  await log.flush();
  assert.equal(String(destination.records[0]?.path).length, 1025);
  assert.equal(String(destination.records[0]?.userAgent).length, 257);
});

test("hides registered secrets", async () => {
  const redactor = createRedactor();
  redactor.register("tok-123456");
  const { log, destination } = setup({ redactor });
  log.write({ ...entry, path: "/x/tok-123456" });
  await log.flush();
  assert.equal(destination.records[0]?.path, "/x/[redacted]");
});

test("reads the clock once for the lines of a batch", async () => {
  const { log, destination, clock } = setup();
  log.append(entry);
  await clock.advance(60);
  log.append(entry);
  await clock.advance(60);
  log.append(entry);
  await log.close();
  const times = destination.records.map((one) => String(one.time).slice(17, 23));
  assert.deepEqual(times, ["00.000", "00.000", "00.120"]);
});

test("drops and counts when the destination stands still, within a bound", async () => {
  const { log, destination, clock } = setup();
  destination.stuck = true;
  const long = { ...entry, path: "p".repeat(1000) };
  for (let i = 0; i < 6000; i++) log.append(long);
  await clock.advance(1000);
  assert.ok(log.droppedCount > 1000);
  assert.ok(destination.text.length < 200_000);
  const dropped = log.droppedCount;
  destination.stuck = false;
  await log.flush();
  assert.equal(log.writtenCount + dropped, 6000);
  assert.equal(destination.records.length, log.writtenCount);
});
