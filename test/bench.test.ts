import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compareResults, renderMove } from "../bench/check.ts";
import { judge } from "../bench/goals.ts";
import { renderMemory, renderTime } from "../bench/profile.ts";
import { type Result, renderTable } from "../bench/report.ts";
import { measureInRounds, type Sample, type Table } from "../bench/rounds.ts";

/** Candidate → what each of its rounds gave, of one second. */
async function tableOf(rounds: Readonly<Record<string, readonly Partial<Sample>[]>>): Promise<Table> {
  const next = new Map(Object.keys(rounds).map((name) => [name, 0]));
  return measureInRounds({
    name: "GET",
    candidates: Object.keys(rounds),
    rounds: Object.values(rounds)[0]?.length ?? 0,
    async slice(candidate) {
      const round = next.get(candidate) ?? 0;
      next.set(candidate, round + 1);
      return { perSecond: 100, p50Ms: 1, p99Ms: 2, cpuUs: 10, ...rounds[candidate]?.[round] };
    },
  });
}

const resultOf = (...tables: Table[]): Result => ({
  title: "T",
  machine: { cores: 2, system: "linux x64", node: "20.0.0", date: "2026-01-01" },
  rounds: 2,
  seconds: 1,
  conditions: {},
  tables,
});

describe("a table of a bench", () => {
  test("compares candidates of the same round, so that a slow round changes no ratio", async () => {
    const { rows } = await tableOf({
      raw: [{ perSecond: 100 }, { perSecond: 10 }],
      plinth: [{ perSecond: 90, cpuUs: 20 }, { perSecond: 9 }],
    });
    assert.deepEqual(rows[1]?.ratio, { median: 0.9, min: 0.9, max: 0.9 });
    assert.deepEqual(rows[1]?.cpuRatio, { median: 0.75, min: 0.5, max: 1 });
  });

  test("says which goals are reached, against the best of several, and skips those that were not measured", async () => {
    const table = await tableOf({
      raw: [{}],
      a: [{ perSecond: 40 }],
      b: [{ perSecond: 50 }],
      plinth: [{ perSecond: 95 }],
    });
    const { goals = [] } = judge(table, [
      { candidate: "plinth", atLeast: 0.95 },
      { candidate: "plinth", to: ["a", "b"], atLeast: 2 },
      { candidate: "plinth", by: "perCpu", to: "a", atLeast: 1 },
      { candidate: "plinth", by: "p99Ms", atMost: 1 },
      { candidate: "plinth", to: "absent", atLeast: 2 },
    ]);
    assert.deepEqual(
      goals.map(({ what, measured, isReached }) => [what, measured, isReached]),
      [
        ["GET, plinth to raw", "0.95", true],
        ["GET, plinth to b", "1.90", false],
        ["GET, plinth to a, by processor time", "1.00", true],
        ["GET, p99 of plinth", "2.00 ms", false],
      ],
    );
  });

  test("shows conditions, notes, memory and goals where there are any", async () => {
    const table = await tableOf({ raw: [{ rssMiB: 61.2 }], plinth: [{ perSecond: 5 }] });
    const text = renderTable({
      ...judge(table, [{ candidate: "plinth", atLeast: 1 }]),
      notes: ["A note."],
      conditions: { tls: true },
    });
    assert.match(text, /GET: tls true\./);
    assert.match(text, /\| plinth \| \*\*0\.050\*\* \|/);
    assert.match(text, /\| 61 \|/);
    assert.match(text, /- A note\.\n- \*\*not reached\*\*: GET, plinth to raw: 0\.05, asked at least 1/);
  });
});

describe("bench:check", () => {
  test("tells what fell below the lowest round that was committed, and by how much", async () => {
    const before = resultOf(await tableOf({ raw: [{}, {}], plinth: [{ perSecond: 90 }, { perSecond: 80 }] }));
    const now = resultOf(await tableOf({ raw: [{}], plinth: [{ perSecond: 68, cpuUs: 5 }] }));
    const moves = compareResults("edge", before, now);
    assert.deepEqual(
      moves.map(({ what, kind }) => [what, kind]),
      [
        ["edge, GET, plinth, per second", "fell"],
        ["edge, GET, plinth, by processor time", "rose"],
      ],
    );
    assert.equal(
      renderMove(moves[0] as never),
      "fell   edge, GET, plinth, per second: 0.68, was 0.85 (0.80 to 0.90), -20 %",
    );
  });

  test("says nothing of tables and candidates that are on one side only", async () => {
    const before = resultOf(await tableOf({ raw: [{}], gone: [{}] }));
    assert.deepEqual(compareResults("edge", before, resultOf(await tableOf({ raw: [{}], fresh: [{}] }))), []);
    assert.deepEqual(compareResults("edge", before, { tables: [] }), []);
  });
});

describe("a profile", () => {
  const frame = (functionName: string) => ({ functionName, scriptId: "1", url: "", lineNumber: 0, columnNumber: 0 });

  test("shares out the time in which something ran by the function that ran", () => {
    const nodes = ["(idle)", "slow", "quick"].map((name, id) => ({ id, callFrame: frame(name) }));
    const text = renderTime({ nodes, startTime: 0, endTime: 9, samples: [0, 1, 2], timeDeltas: [900_000, 3000, 1000] });
    assert.match(text, /^time: 4 ms\n 75\.0 % +3 ms {2}slow\n 25\.0 %/);
  });

  test("shares out what was allocated, summed over all callers", () => {
    const leaf = (id: number) => ({ id, callFrame: frame("makes"), selfSize: 2 ** 20, children: [] });
    const head = { id: 0, callFrame: frame("(root)"), selfSize: 0, children: [leaf(1), leaf(2)] };
    assert.match(renderMemory({ head }), /^allocated: 2\.0 MiB\n100\.0 % +2\.0 MiB {2}makes/);
  });
});
