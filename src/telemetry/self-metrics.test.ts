import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createAccessLog } from "./access-log.ts";
import { readExposition } from "./exposition-reader.ts";
import { createLogger } from "./logger.ts";
import { createMemoryDestination } from "./memory-destination.ts";
import { createMetrics } from "./metrics.ts";
import { registerTelemetryMetrics } from "./self-metrics.ts";
import { createTracer } from "./tracer.ts";

test("what telemetry loses is counted where somebody looks", async () => {
  const clock = createManualClock();
  const metrics = createMetrics({ clock });
  const log = createLogger({
    clock,
    destination: {
      write() {
        throw new Error("full");
      },
    },
  });
  const tracer = createTracer({ clock, sampleRatio: 1, exporter: { export() {} } });
  const accessLog = createAccessLog({ clock, destination: createMemoryDestination() });
  const takeBack = registerTelemetryMetrics(metrics, { log, tracer, accessLog });
  log.info("x");
  tracer.start("x").end();
  await tracer.close();
  const text = readExposition((await metrics.render()).body, "prometheus");
  assert.equal(text.value("plinth_log_lines_lost_total", { log: "service" }), 1);
  assert.equal(text.value("plinth_log_lines_lost_total", { log: "access" }), 0);
  assert.equal(text.value("plinth_trace_spans_total", { outcome: "exported" }), 1);
  takeBack();
});

test("only the parts that there are have metrics", async () => {
  const metrics = createMetrics();
  registerTelemetryMetrics(metrics, {});
  assert.equal((await metrics.render()).body.includes("lost_total{"), false);
});
