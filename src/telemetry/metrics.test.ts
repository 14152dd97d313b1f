import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createManualClock, createSeededRandom, StartError } from "../base/index.ts";
import { expositionFormatFor } from "./exposition.ts";
import { readExposition } from "./exposition-reader.ts";
import type { Metrics } from "./metrics.ts";
import { createMetrics } from "./metrics.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { createTracer } from "./tracer.ts";

const openAccept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
const read = async (metrics: Metrics) => ({
  plain: readExposition((await metrics.render()).body, "prometheus"),
  open: readExposition((await metrics.render(openAccept)).body, "openmetrics"),
});

test("a counter counts up, from zero, and by advancing", async () => {
  const metrics = createMetrics();
  const requests = metrics.counter("http_requests_total", "Requests.", ["method", "status"]);
  const handle = requests.with({ method: "GET", status: 200 });
  handle.add();
  handle.add(2.5);
  metrics.counter("jobs_total", "Jobs.").with();
  const total = metrics.counter("work_total", "Work.").with();
  total.advanceTo(5);
  total.advanceTo(3);
  assert.equal(requests.with({ status: 200, method: "GET" }), handle);
  const { plain, open } = await read(metrics);
  for (const one of [plain, open]) {
    assert.equal(one.value("http_requests_total", { method: "GET", status: "200" }), 3.5);
    assert.equal(one.value("jobs_total"), 0);
    assert.equal(one.value("work_total"), 5);
  }
  assert.equal(plain.families.get("http_requests_total")?.type, "counter");
  assert.equal(open.families.get("http_requests")?.type, "counter");
  assert.equal(handle.value, 3.5);
});

test("a gauge goes up and down, and may be endless", async () => {
  const metrics = createMetrics();
  const gauge = metrics.gauge("queue_size", "Waiting.").with();
  gauge.set(5);
  gauge.inc();
  gauge.dec(3);
  const values = metrics.gauge("odd_values", "Odd.", ["v"]);
  values.with({ v: "a" }).set(Number.POSITIVE_INFINITY);
  values.with({ v: "b" }).set(Number.NEGATIVE_INFINITY);
  values.with({ v: "c" }).set(Number.NaN);
  const { plain, open } = await read(metrics);
  assert.equal(plain.value("queue_size"), 3);
  assert.equal(open.value("odd_values", { v: "a" }), Number.POSITIVE_INFINITY);
  assert.equal(open.value("odd_values", { v: "b" }), Number.NEGATIVE_INFINITY);
  assert.equal(open.value("odd_values", { v: "c" }), Number.NaN);
});

test("a histogram puts each value in its bucket; a bound belongs to the bucket below it", async () => {
  const metrics = createMetrics();
  const histogram = metrics.histogram("call_duration_seconds", "Calls.", ["m"], [0.1, 1, 10]).with({ m: "a" });
  for (const value of [0, 0.1, 0.5, 1, 5, 100]) histogram.observe(value);
  assert.deepEqual([histogram.count, histogram.sum], [6, 106.6]);
  const { plain, open } = await read(metrics);
  const bucket = (le: string) => plain.value("call_duration_seconds_bucket", { m: "a", le });
  assert.deepEqual([bucket("0.1"), bucket("1"), bucket("10"), bucket("+Inf")], [2, 4, 5, 6]);
  assert.equal(open.value("call_duration_seconds_bucket", { m: "a", le: "1.0" }), 4);
  assert.equal(open.value("call_duration_seconds_count", { m: "a" }), 6);
  assert.equal(open.families.get("call_duration_seconds")?.unit, "seconds");
});

test("a sampled trace becomes the exemplar of its bucket, in OpenMetrics only", async () => {
  const metrics = createMetrics();
  const histogram = metrics.histogram("x_seconds", "X.", [], [1]).with();
  const tracer = createTracer({ sampleRatio: 1, clock: createManualClock() });
  const span = tracer.start("a");
  histogram.observe(0.5, span);
  histogram.observe(2, createTracer({ sampleRatio: 0, clock: createManualClock() }).start("b"));
  const { plain, open } = await read(metrics);
  const exemplars = open.families.get("x_seconds")?.samples.map((one) => one.exemplar);
  assert.deepEqual(exemplars?.[0], { labels: { trace_id: span.traceId, span_id: span.spanId }, value: 0.5 });
  assert.equal(exemplars?.[1], undefined);
  assert.equal(plain.value("x_seconds_count"), 2);
});

test("values that would spoil a series are left out and counted", async () => {
  const metrics = createMetrics();
  const counter = metrics.counter("a_total", "A.").with();
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) counter.add(value);
  const histogram = metrics.histogram("b_seconds", "B.").with();
  for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) histogram.observe(value);
  const { plain } = await read(metrics);
  assert.equal(plain.value("a_total"), 0);
  assert.equal(plain.value("plinth_metrics_rejected_total", { metric: "a_total" }), 3);
  assert.equal(plain.value("plinth_metrics_rejected_total", { metric: "b_seconds" }), 3);
});

test("above the limit of series, further ones share the series named other, and are counted", async () => {
  const metrics = createMetrics({ seriesMax: 3 });
  const counter = metrics.counter("hits_total", "Hits.", ["path", "m"]);
  for (let i = 0; i < 10; i++) counter.with({ path: `/p${i}`, m: "GET" }).add();
  counter.with({ path: "/p1", m: "GET" }).add();
  const { plain } = await read(metrics);
  assert.equal(plain.families.get("hits_total")?.samples.length, 4);
  assert.equal(plain.value("hits_total", { path: "other", m: "other" }), 7);
  assert.equal(plain.value("hits_total", { path: "/p1", m: "GET" }), 2);
  assert.equal(plain.value("plinth_metrics_overflow_total", { metric: "hits_total" }), 7);
});

test("label values and help may hold anything", async () => {
  const metrics = createMetrics();
  const evil = 'a"b\\c\nd}e{f,g="h" # 1';
  metrics.gauge("evil_size", `help ${evil}`, ["v"]).with({ v: evil }).set(1);
  metrics
    .gauge("long_size", "Long.", ["v"])
    .with({ v: "x".repeat(1000) })
    .set(1);
  const { plain, open } = await read(metrics);
  for (const one of [plain, open]) {
    assert.equal(one.value("evil_size", { v: evil }), 1);
    assert.equal(one.families.get("evil_size")?.help, `help ${evil}`);
    assert.equal(one.value("long_size", { v: "x".repeat(256) }), 1);
  }
});

test("the same metric declared alike is the same; otherwise it is refused", () => {
  const metrics = createMetrics();
  const one = metrics.counter("x_total", "X.", ["a"]);
  assert.equal(metrics.counter("x_total", "X.", ["a"]), one);
  assert.throws(() => metrics.counter("x_total", "X.", ["b"]), /declared already/);
  assert.throws(
    () => metrics.gauge("x", "X."),
    (thrown) => thrown instanceof StartError && thrown.reason === "METRIC_CONFLICT",
  );
  metrics.histogram("h_seconds", "H.", [], [1]);
  assert.throws(() => metrics.histogram("h_seconds", "H.", [], [2]), /METRIC|declared already/);
});

const wrongNames: [string, (metrics: Metrics) => unknown, RegExp][] = [
  ["upper case", (m) => m.gauge("Queue", "x"), /lower-case/],
  ["double underscores", (m) => m.gauge("a__b", "x"), /lower-case/],
  ["a counter without _total", (m) => m.counter("hits", "x"), /ends in "_total"/],
  ["a gauge with _total", (m) => m.gauge("hits_total", "x"), /meaning of their own/],
  ["a histogram with _count", (m) => m.histogram("hits_count", "x"), /meaning of their own/],
  ["milliseconds", (m) => m.histogram("call_duration_ms", "x"), /no base unit/],
  ["milliseconds in a counter", (m) => m.counter("busy_milliseconds_total", "x"), /no base unit/],
  ["a label that is no name", (m) => m.gauge("a", "x", ["a-b"]), /needs letters/],
  ["a label with __", (m) => m.gauge("a", "x", ["__a"]), /no "__"/],
  ["le as a label", (m) => m.gauge("a", "x", ["le"]), /kept for histograms/],
  ["a label twice", (m) => m.gauge("a", "x", ["b", "b"]), /named twice/],
  ["eleven labels", (m) => m.gauge("a", "x", [..."abcdefghijk"]), /at most 10/],
  ["no buckets", (m) => m.histogram("a", "x", [], []), /rising order/],
  ["falling buckets", (m) => m.histogram("a", "x", [], [2, 1]), /rising order/],
  ["an endless bucket", (m) => m.histogram("a", "x", [], [Number.POSITIVE_INFINITY]), /without \+Inf/],
];
for (const [name, declare, message] of wrongNames) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => declare(createMetrics()),
      (thrown) => thrown instanceof StartError && message.test(thrown.message),
    );
  });
}

test("refuses labels that are missing, unknown or inherited", () => {
  const metrics = createMetrics();
  const family = metrics.counter("x_total", "X.", ["a"]);
  for (const labels of [{}, { b: 1 }, { a: 1, b: 2 }, Object.create({ a: 1 })]) {
    assert.throws(() => family.with(labels as never), /it has the labels \[a\]/);
  }
});

test("collect tasks run before each rendering; one that fails or hangs costs nothing but a count", async () => {
  const clock = createManualClock();
  const metrics = createMetrics({ clock });
  const gauge = metrics.gauge("depth_size", "Depth.").with();
  let runs = 0;
  metrics.collect(() => gauge.set(++runs));
  const takeBack = metrics.collect(async () => {
    throw new Error("no database");
  });
  const takeBackOther = metrics.collect(() => {
    throw new Error("no");
  });
  const takeBackSlow = metrics.collect(() => new Promise(() => {}));
  const rendered = metrics.render();
  await clock.advance(1000);
  const text = readExposition((await rendered).body, "prometheus");
  assert.equal(text.value("depth_size"), 1);
  assert.equal(text.value("plinth_metrics_collect_failures_total"), 3);
  takeBack();
  takeBackOther();
  takeBackSlow();
  metrics.collect(async () => {});
  assert.equal(
    readExposition((await metrics.render()).body, "prometheus").value("plinth_metrics_collect_failures_total"),
    3,
  );
});

const prometheusAccept =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
const accepts: [string | undefined, string][] = [
  [undefined, "prometheus"],
  ["*/*", "prometheus"],
  ["text/html, */*;q=0.8", "prometheus"],
  ["text/plain;version=0.0.4", "prometheus"],
  ["application/openmetrics-text", "openmetrics"],
  ['application/openmetrics-text; version="1.0.0"; charset=utf-8', "openmetrics"],
  ["application/openmetrics-text;version=2.0.0", "prometheus"],
  ["application/openmetrics-text;q=0", "prometheus"],
  ["application/openmetrics-text;q=nonsense", "prometheus"],
  ["application/openmetrics-text;q=0.4,text/plain;q=0.5", "prometheus"],
  ["application/openmetrics-text;q=0.5,text/*;q=0.4", "openmetrics"],
  [prometheusAccept, "openmetrics"],
];
for (const [accept, format] of accepts) {
  test(`answers ${accept ?? "no Accept"} with ${format}`, () => {
    assert.equal(expositionFormatFor(accept), format);
  });
}

test("the content types are the registered ones", async () => {
  const metrics = createMetrics();
  assert.equal((await metrics.render()).contentType, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(
    (await metrics.render(openAccept)).contentType,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
});

test("whatever is counted, both formats can be read by a strict reader", async () => {
  const random = createSeededRandom(3);
  const metrics = createMetrics({ seriesMax: 20 });
  const word = () =>
    Array.from({ length: 1 + (random.uint32() % 6) }, () => String.fromCharCode(random.uint32() % 0x250)).join("");
  const counter = metrics.counter("c_total", "C.", ["a", "b"]);
  const histogram = metrics.histogram("h_bytes", "H.", ["a"], [1, 1e3, 1e21, 1e22]);
  for (let i = 0; i < 300; i++) {
    counter.with({ a: word(), b: word() }).add(random.next() * 10 ** (random.uint32() % 25));
    histogram.with({ a: word() }).observe(random.next() * 10 ** (random.uint32() % 25));
  }
  await read(metrics);
});

test("the process tells of its processor, memory, event loop and handles", async () => {
  const metrics = createMetrics();
  const stop = registerProcessMetrics(metrics);
  await sleep(60);
  const { open } = await read(metrics);
  const atLeast = (name: string, least: number, labels = {}) => {
    const value = open.value(name, labels) ?? -1;
    assert.ok(value >= least, `${name} ${value}`);
  };
  atLeast("process_cpu_seconds_total", 0.01);
  atLeast("process_resident_memory_bytes", 10e6);
  atLeast("process_uptime_seconds", 0.01);
  atLeast("process_start_time_seconds", 1.7e9);
  atLeast("v8js_memory_heap_used_bytes", 1e6);
  atLeast("v8js_memory_heap_limit_bytes", 1e7);
  atLeast("nodejs_eventloop_delay_p99_seconds", 0);
  atLeast("nodejs_eventloop_utilization_ratio", 0);
  assert.ok((open.value("nodejs_eventloop_delay_mean_seconds") ?? 9) < 0.5);
  assert.ok((open.families.get("nodejs_active_resources")?.samples.length ?? 0) > 0);
  globalThis.gc?.();
  stop();
  await read(metrics);
});
