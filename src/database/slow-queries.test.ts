import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Trace } from "../base/index.ts";
import { createManualClock } from "../base/index.ts";
import type { QueryRecord } from "./database-options.ts";
import type { SlowQueryReport } from "./slow-queries.ts";
import { createSlowQueryLog } from "./slow-queries.ts";

const traceOf = (traceId: string): Trace => ({
  traceId,
  spanId: "1",
  sampled: false,
  tracestate: undefined,
  traceparent: () => "",
});
const record = (text: string, durationMs: number, trace?: string): QueryRecord => ({
  text,
  durationMs,
  rows: 3,
  schema: "shop",
  engine: "test",
  trace: trace === undefined ? undefined : traceOf(trace),
  error: undefined,
});

describe("slow queries", () => {
  const setUp = () => {
    const reports: SlowQueryReport[] = [];
    const clock = createManualClock();
    const note = createSlowQueryLog({ clock, log: (report) => reports.push(report) });
    return { reports, clock, note };
  };

  test("are reported with their text, time, rows and trace; quick ones are not", () => {
    const { reports, note } = setUp();
    note(record("select 1", 99));
    note(record("select $1", 100, "abc"));
    assert.equal(reports.length, 1);
    const [{ kind, text, schema, durationMs, rows, traceId, count, hint, plan } = {} as SlowQueryReport] = reports;
    assert.deepEqual(
      [kind, text, schema, durationMs, rows, traceId, count, plan],
      ["slow", "select $1", "shop", 100, 3, "abc", 1, undefined],
    );
    assert.match(hint, /100 ms, over the threshold of 100 ms/);
  });

  test("are reported once in a minute for each text, with how many and the worst of them", async () => {
    const { reports, clock, note } = setUp();
    for (const ms of [200, 900, 300]) note(record("select a", ms));
    note(record("select b", 150));
    await clock.advance(60_000);
    note(record("select a", 250));
    assert.deepEqual(
      reports.map(({ text, count, worstMs }) => [text, count, worstMs]),
      [
        ["select a", 1, 200],
        ["select b", 1, 150],
        ["select a", 3, 900],
      ],
    );
  });

  test("that one call runs again and again are told once, at the tenth", () => {
    const { reports, note } = setUp();
    for (let i = 0; i < 25; i++) {
      note(record("select from item where id = $1", 2, "one"));
      note(record("select from item where id = $1", 2, `trace ${i}`));
      note(record("select from item where id = $1", 2));
      note(record("begin", 1, "one"));
    }
    assert.deepEqual(
      reports.map(({ kind, count, durationMs, rows, traceId }) => [kind, count, durationMs, rows, traceId]),
      [["repeated", 10, 20, 30, "one"]],
    );
    assert.match(reports[0]?.hint ?? "", /any\(\$1\)/);
  });

  test("keep a bounded memory: who was not seen for longest is forgotten first", () => {
    const { reports, note } = setUp();
    note(record("select kept", 200));
    for (let i = 0; i < 1_000; i++) {
      note(record(`select ${i}`, 200));
      note(record("select kept", 200));
    }
    assert.equal(reports.filter(({ text }) => text === "select kept").length, 1);
    note(record("select 0", 200));
    assert.equal(reports.filter(({ text }) => text === "select 0").length, 2);
    note(record(`select ${"x".repeat(5_000)}`, 200));
    assert.equal(reports.at(-1)?.text.length, 2_000);
  });
});
