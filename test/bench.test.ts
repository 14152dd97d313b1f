import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { type Bench, isWanted, wantedOf } from "../bench/bench.ts";
import { checkBenches } from "../bench/check.ts";
import { judge } from "../bench/goals.ts";
import { compareResults, differencesOf, type Move, renderMove } from "../bench/moves.ts";
import { createPlaces } from "../bench/places.ts";
import { type ProgramProfile, renderMemory, renderTime, timesOf } from "../bench/profile.ts";
import { renderProfile, summarize } from "../bench/profile-summary.ts";
import { type Kept, type Result, renderTable } from "../bench/report.ts";
import { readResult, readWhys } from "../bench/results.ts";
import { measureInRounds, type Sample, type Table } from "../bench/rounds.ts";
import { renderShortfalls } from "../bench/shortfalls.ts";
import { judgeMemory } from "../bench/soak/judge.ts";
import { renderSummary } from "../bench/summary.ts";
import { measureSound, proveSlice } from "../bench/void-slice.ts";
import { faultsOf, parseWhys } from "../bench/whys.ts";
import { root } from "../scripts/source/tree.ts";

/** Candidate → what each of its rounds gave, of one second. */
async function tableOf(rounds: Readonly<Record<string, readonly Partial<Sample>[]>>): Promise<Table> {
  const next = new Map(Object.keys(rounds).map((name) => [name, 0]));
  return measureInRounds({
    name: "GET",
    pauseMs: 0,
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

  const idle: Partial<Sample> = { perSecond: 0, p50Ms: 0, p99Ms: 0, cpuUs: Number.POSITIVE_INFINITY };

  test("leaves out a round whose reference did nothing, and says so", async () => {
    const table = await tableOf({
      raw: [{ perSecond: 100 }, idle, { perSecond: 100 }],
      plinth: [{ perSecond: 90 }, { perSecond: 10, p99Ms: 99 }, { perSecond: 90 }],
    });
    const [, row] = table.rows;
    assert.deepEqual(row?.ratio, { median: 0.9, min: 0.9, max: 0.9 });
    assert.deepEqual([row?.perSecond, row?.p99Ms], [90, 2]);
    assert.match(renderTable(table), /- raw did nothing in 1 of 3 rounds, which are left out/);
  });

  test("is void when its reference did nothing in more than a third of the rounds", async () => {
    await assert.rejects(
      tableOf({ raw: [{}, idle, {}, idle, {}], plinth: [{}, {}, {}, {}, {}] }),
      /GET: raw did nothing in 2 of 5 rounds, so there is nothing to compare with/,
    );
  });

  test("counts a round in which a candidate did nothing as 0, by all that is measured", async () => {
    const table = await tableOf({
      raw: [{}, {}, {}, {}, {}],
      plinth: [idle, {}, idle, idle, idle],
      half: [{}, idle, {}, idle, {}],
    });
    const [, plinth, half] = table.rows;
    assert.deepEqual(plinth?.ratio, { median: 0, min: 0, max: 1 });
    assert.deepEqual(plinth?.cpuRatio, { median: 0, min: 0, max: 1 });
    assert.deepEqual(half?.ratio, { median: 1, min: 0, max: 1 });
    assert.deepEqual([half?.perSecond, half?.p99Ms], [100, 2]);
    const kept = JSON.parse(JSON.stringify(table)) as Table;
    assert.match(renderTable(kept), /\| plinth \| \*\*0\.000\*\* \| 0\.000 to 1\.00 \| 0 \| none \| none \| none \|/);
  });

  test("has no goal that a candidate without an answer reaches, nor one that is reached against such a one", async () => {
    const table = await tableOf({ raw: [{}, {}, {}], plinth: [idle, {}, idle], stuck: [idle, idle, idle] });
    const { goals = [] } = judge(table, [
      { candidate: "plinth", atLeast: 0 },
      { candidate: "plinth", by: "perCpu", atLeast: 0 },
      { candidate: "plinth", by: "p99Ms", atMost: 15 },
      { candidate: "raw", to: "stuck", atLeast: 1 },
    ]);
    assert.deepEqual(
      goals.map(({ isReached }) => isReached),
      [false, false, false, false],
    );
  });

  test("takes a slice without an answer for void, as one in which a request failed", () => {
    assert.throws(() => proveSlice("plinth", { requests: 9, failures: 3 }), /^Error: plinth: 3 of 9 requests failed$/);
    assert.throws(() => proveSlice("plinth", { requests: 0, failures: 0 }), /^Error: plinth: no request was answered$/);
    proveSlice("plinth", { requests: 9, failures: 0 });
  });

  test("measures a slice again in which a request failed, and gives up after three", async () => {
    const said: string[] = [];
    let left = 2;
    const slice = async () => {
      if (left-- > 0) throw new Error("plinth: 3 of 9 requests failed");
      return "a sample";
    };
    assert.equal(await measureSound(slice, (text) => said.push(text)), "a sample");
    assert.deepEqual(said, Array(2).fill("plinth: 3 of 9 requests failed; measured again"));
    left = 3;
    await assert.rejects(
      measureSound(slice, () => {}),
      /3 of 9/,
    );
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

  test("is of all candidates, or of those that are wanted beside the reference", () => {
    const all = ["raw", "fastify", "plinth"];
    assert.deepEqual(wantedOf(all, {}), all);
    assert.deepEqual(wantedOf(all, { only: ["plinth"] }), ["raw", "plinth"]);
    assert.ok(isWanted("GET", {}) && isWanted("GET", { tables: ["GET"] }) && !isWanted("POST", { tables: ["GET"] }));
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
    assert.match(text, /- A note\.\n- \*\*not reached\*\*: GET: `plinth` to `raw`: 0\.05, asked at least 1/);
  });
});

const machine = resultOf().machine;

describe("bench:check", () => {
  const rounds = (...perSecond: number[]) => perSecond.map((each) => ({ perSecond: each, cpuUs: 1000 / each }));
  const against = async (then: readonly number[], now: readonly number[]): Promise<Move> => {
    const before = resultOf(await tableOf({ raw: rounds(...then.map(() => 100)), plinth: rounds(...then) }));
    const after = resultOf(await tableOf({ raw: rounds(...now.map(() => 100)), plinth: rounds(...now) }));
    const [move] = compareResults("edge", before, after);
    assert.ok(move);
    return move;
  };

  test("tells what fell: each round below all that were committed, and by how much", async () => {
    const move = await against([90, 80, 85], [68, 66, 70]);
    assert.equal(
      renderMove(move),
      "fell   edge, GET, plinth, per second: 0.68, was 0.85, -20 % (rounds -22 % to -18 %, then -6 % to +6 %)",
    );
  });

  test("takes one round among the committed for a reason to say nothing, and less than 5 % for none at all", async () => {
    assert.equal((await against([90, 80, 85], [68, 81, 70])).kind, "within");
    assert.equal((await against([100, 101, 102], [99, 98, 98])).kind, "within");
    assert.equal((await against([90, 80, 85], [100, 99, 101])).kind, "rose");
  });

  test("says so where the rounds lie too far apart to tell anything", async () => {
    const move = await against([90, 50, 170], [80, 60, 90]);
    assert.equal(move.kind, "blind");
    assert.match(renderMove(move), /only a fall by 51 % would show$/);
  });

  test("takes what did nothing in most of its rounds for fallen, and what is no number as well", async () => {
    assert.equal((await against([95, 94, 96, 95, 95], [0, 0, 95, 0, 0])).kind, "fell");
    assert.equal((await against([95, 94, 96], [0, 0, 0])).kind, "fell");
    const table = await tableOf({ raw: rounds(100), plinth: rounds(95) });
    const nothing = { median: Number.NaN, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
    const rows = table.rows.map((row) => ({ ...row, ratio: nothing }));
    assert.equal(compareResults("edge", resultOf(table), resultOf({ ...table, rows }))[0]?.kind, "fell");
  });

  test("compares by processor time as well, and what a sheet shows", async () => {
    const table = await tableOf({ raw: rounds(100), plinth: rounds(50) });
    const before = { ...resultOf(), ratios: [table] };
    assert.deepEqual(
      compareResults("start", before, { tables: [table] }).map(({ what }) => what),
      ["start, GET, plinth, per second", "start, GET, plinth, by processor time"],
    );
  });

  test("says nothing of tables and candidates that are on one side only", async () => {
    const before = resultOf(await tableOf({ raw: [{}], gone: [{}] }));
    assert.deepEqual(compareResults("edge", before, resultOf(await tableOf({ raw: [{}], fresh: [{}] }))), []);
    assert.deepEqual(compareResults("edge", before, { tables: [] }), []);
  });

  test("names another machine, and one that was or is busy", () => {
    assert.deepEqual(differencesOf(machine, { ...machine, date: "2026-02-02", load: 2.9 }), []);
    assert.deepEqual(differencesOf({ ...machine, load: 15.3 }, { ...machine, node: "22.0.0", load: 3.1 }), [
      "node: 20.0.0 then, 22.0.0 now",
      "the machine was busy then: load average 15.3",
      "the machine is busy now: load average 3.1",
    ]);
  });

  interface CheckedWith {
    elapsedMs?: number;
    /** Instead of the table of `then`. */
    committed?: Table;
    /** More benches like it, by name, and where they differ. */
    others?: Readonly<Record<string, Partial<{ [Key in keyof Bench]: Bench[Key] | undefined }>>>;
  }

  /** A bench whose rounds are given, beside what is committed of it. */
  const checked = async (
    then: readonly number[],
    now: readonly number[],
    more: Partial<Bench> = {},
    { elapsedMs = 0, committed, others = {} }: CheckedWith = {},
  ) => {
    const tableFor = (each: readonly number[]) =>
      tableOf({ raw: rounds(...each.map(() => 100)), plinth: rounds(...each) });
    const bench: Bench = {
      title: "T",
      rounds: 3,
      seconds: 1,
      check: { rounds: 3, seconds: 1, only: ["plinth"] },
      run: async () => ({ tables: [await tableFor(now)], conditions: {} }),
      ...more,
    };
    const before = resultOf(committed ?? (await tableFor(then)));
    const said: string[] = [];
    const code = await checkBenches(["edge", ...Object.keys(others)], {
      benches: {
        edge: bench,
        ...Object.fromEntries(Object.entries(others).map(([name, own]) => [name, { ...bench, ...own }])),
      },
      read: () => before,
      measure: async (each, options) => ({ ...before, ...(await each.run(options)) }),
      say: (text) => said.push(text),
      elapsedMs: () => elapsedMs,
    });
    return { code, text: said.join("\n") };
  };

  test("ends with 1 when something fell, and with 0 when not", async () => {
    const slow = await checked([90, 91, 92], [60, 61, 62]);
    assert.equal(slow.code, 1);
    assert.match(slow.text, /^fell {3}edge, GET, plinth, per second: 0\.61, was 0\.91, -33 %/);
    assert.match(slow.text, /2 ratios compared with bench\/results: 2 fell, 0 rose; of 0 nothing can be said/);
    assert.equal((await checked([90, 91, 92], [91, 92, 90])).code, 0);
  });

  test("ends with 1 when nothing was compared, and says what was left out and why", async () => {
    const lacking = { rounds: 3, seconds: 1, lacks: () => "there is no database" };
    assert.match((await checked([90], [90], { check: lacking })).text, /; left out: edge \(there is no database\)$/);
    const late = await checked([90], [90], {}, { elapsedMs: 151_000 });
    assert.match(late.text, /; left out: edge \(the time is up\)$/);
    assert.equal(late.code, 1);
    const other = await checked([90], [90], { run: async () => ({ tables: [], conditions: {} }) });
    assert.match(other.text, /edge: what is committed has none of these rows; record it anew/);
    assert.equal(other.code, 1);
    const beside = await checked(
      [90],
      [90],
      {},
      { others: { gone: { run: async () => ({ tables: [], conditions: {} }) } } },
    );
    assert.match(beside.text, /gone: what is committed has none of these rows/);
    assert.equal(beside.code, 1, "also beside one that was compared");
  });

  test("ends with 1 when of one bench all ratios are blind, and says why; a few blind ones are no failure", async () => {
    const blind = await checked([90, 50, 170], [80, 60, 90]);
    assert.equal(blind.code, 1);
    assert.match(
      blind.text,
      /edge: all of its 2 ratios are blind, so nothing was compared; try again on a quieter machine\n.*of 2 nothing can be said/,
    );
    const tables = [
      await tableOf({ raw: rounds(100, 100, 100), plinth: rounds(80, 60, 90), lean: rounds(100, 100, 100) }),
    ];
    const before = await tableOf({
      raw: rounds(100, 100, 100),
      plinth: rounds(90, 50, 170),
      lean: rounds(100, 100, 100),
    });
    const some = await checked([], [], { run: async () => ({ tables, conditions: {} }) }, { committed: before });
    assert.match(some.text, /4 ratios compared .*of 2 nothing can be said/);
    assert.equal(some.code, 0);
  });

  test("names in its last line what it left out, and why", async () => {
    const others = {
      soak: { check: undefined },
      state: { check: { rounds: 3, seconds: 1, lacks: () => "no database" } },
    };
    const { code, text } = await checked([90, 91, 92], [91, 92, 90], {}, { others });
    assert.match(text, /; left out: soak \(it takes no part\), state \(no database\)$/);
    assert.equal(code, 0);
  });

  test("ends with 1 when something could not be measured, and still compares the others", async () => {
    const failing = { run: () => Promise.reject(new Error("plinth: 3 of 9 requests failed")) };
    const { code, text } = await checked([90], [90], failing);
    assert.equal(code, 1);
    assert.match(text, /edge could not be measured: plinth: 3 of 9 requests failed\n0 ratios compared/);
  });
});

describe("a profile", () => {
  const frame = (functionName: string, url = "", scriptId = "0") => ({
    functionName,
    scriptId,
    url,
    lineNumber: 0,
    columnNumber: 0,
  });
  const placeOf = createPlaces();

  test("shares out the time in which something ran by the function that ran", () => {
    const nodes = ["(idle)", "slow", "quick", "dispatch"].map((name, id) => ({ id, callFrame: frame(name) }));
    const timeDeltas = [900_000, 3000, 1000, 500_000];
    const cpu = { nodes, startTime: 0, endTime: 9, samples: [0, 1, 2, 3], timeDeltas };
    assert.match(renderTime(timesOf(cpu, placeOf)), /^time: 4 ms\n 75\.0 % +3 ms {2}slow\n 25\.0 %/);
  });

  test("shares out what was allocated, summed over all callers", () => {
    const leaf = (id: number) => ({ id, callFrame: frame("makes"), selfSize: 2 ** 20, children: [] });
    const head = { id: 0, callFrame: frame("(root)"), selfSize: 0, children: [leaf(1), leaf(2)] };
    assert.match(renderMemory({ head }, placeOf), /^allocated: 2\.0 MiB\n100\.0 % +2\.0 MiB {2}makes/);
  });

  test("knows whose a function is", () => {
    const parts = [
      frame("writev"),
      frame("(garbage collector)"),
      frame("validate0", "", "601"),
      frame("emit", "node:events"),
      frame("parserOnHeadersComplete", "node:_http_common"),
      frame("send", "file:///app/node_modules/@fastify/cors/index.js"),
      frame("dispatch", "file:///house/src/gateway/dispatch.js"),
      frame("answer", "file:///house/.plinth/bench/run-1/programs/edge/raw.js"),
    ].map((each) => placeOf(each).part);
    assert.deepEqual(parts, [
      "writing to sockets",
      "garbage collection",
      "compiled from schemas and routes",
      "Node: events, ticks, timers and the rest",
      "Node: HTTP",
      "package @fastify/cors",
      "Plinth: gateway",
      "the program of the bench",
    ]);
  });

  const profileOf = (program: string, spent: Readonly<Record<string, number>>): ProgramProfile => ({
    program,
    spent: Object.entries(spent).map(([part, us]) => [{ name: `of ${part}`, part }, us * 1000] as const),
    text: "",
  });
  const summary = summarize(
    [
      profileOf("edge-raw", { "writing to sockets": 50, "Node: HTTP": 50 }),
      profileOf("edge-plinth", { "Plinth: gateway": 1 }),
      profileOf("edge-plinth", { "writing to sockets": 120, "Plinth: gateway": 79, "Plinth: wire": 1 }),
      profileOf("edge-signer", { "Plinth: identity": 19 }),
      profileOf("load-closed-loop", { "Node: HTTP": 900 }),
    ],
    machine,
    "npm run bench -- edge --profile --keep",
  );

  test("is kept of the busiest process of each program, ours first, without the load", () => {
    assert.deepEqual(
      summary.programs.map(({ program, busyMs, parts }) => [program, busyMs, parts["writing to sockets"]]),
      [
        ["edge-plinth", 200, 60],
        ["edge-raw", 100, 50],
      ],
    );
    assert.match(renderProfile(summary), /\| Plinth: gateway \| 39\.5 \| 0\.0 \|\n.*\n\| the rest \| 0\.5 \| 0\.0 \|/);
  });

  test("is shown below goals that are not reached, with what is said of them, and nowhere else", () => {
    const goal = { what: "GET, plinth to raw", wanted: "at least 1", measured: "0.90", isReached: false };
    const reasons = { "plinth to raw": "It counts.", "plinth to nest": "It does not." };
    const whys = { date: "2026-01-02", reasons };
    const text = renderShortfalls({ tables: [], goals: [goal] }, whys, summary).join("\n");
    assert.match(
      text,
      /tried \(written 2026-01-02\):\n\n- \*\*plinth to raw\*\*: It counts\.\n\nWhere the time goes, .*`npm run bench -- edge --profile --keep`, 2026-/,
    );
    assert.doesNotMatch(text, /nest/);
    assert.deepEqual(renderShortfalls({ tables: [], goals: [{ ...goal, isReached: true }] }, whys, summary), []);
  });
});

describe("why goals are not reached", () => {
  const reached = { what: "GET, plinth to raw", wanted: "at least 1", measured: "1.10", isReached: true };
  const missed = { what: "POST, plinth to raw", wanted: "at least 1", measured: "0.90", isReached: false };
  const date = machine.date;

  test("is read from a file beside the record: its day, and a heading for each reason", () => {
    assert.deepEqual(parseWhys("Written 2026-01-02.\n\n## plinth to nginx\n\nTwo\nlines.\n\n## p99\n\nOne.\n"), {
      date: "2026-01-02",
      reasons: { "plinth to nginx": "Two lines.", p99: "One." },
    });
    assert.throws(() => parseWhys("## p99\n\nOne.\n"), /the first line has to be "Written YYYY-MM-DD\."/);
  });

  test("lacks nothing, and says nothing that is over", () => {
    const faults = (reasons: Record<string, string>, written = date) =>
      faultsOf({ ...resultOf(), goals: [reached, missed] }, { date: written, reasons });
    assert.deepEqual(faults({ "plinth to raw": "So." }), []);
    assert.deepEqual(faults({ "GET, plinth": "So.", nest: "So.", POST: "" }), [
      '"GET, plinth" speaks only of goals that are reached: delete it',
      '"nest" is in no goal\'s name',
      '"POST" has no text',
    ]);
    assert.deepEqual(faults({ POST: "So." }, "2025-12-31"), [
      "written 2025-12-31, before the record of 2026-01-01: read it beside that",
    ]);
    assert.deepEqual(faultsOf({ ...resultOf(), goals: [reached, missed] }, undefined), [
      '"POST, plinth to raw" is not reached, and no heading speaks of it',
    ]);
  });

  const committed = readdirSync(`${root}bench/results`).map((file) => file.split(".")[0] as string);
  for (const name of new Set(committed.filter((each) => each !== "profiles"))) {
    test(`fits the record of ${name}: bench/results/${name}.whys.md`, () => {
      const result = readResult(name);
      assert.ok(result, "there is no record of it");
      assert.deepEqual(faultsOf(result, readWhys(name)), []);
    });
  }
});

describe("the summary of all benches", () => {
  const kept = (result: Result): Kept => ({ result, whys: undefined, profile: undefined });

  test("counts the goals of tables and of the whole, and has a line for each that is not reached", async () => {
    const table = judge(
      await tableOf({ raw: [{}, {}], "plinth, lean": [{ perSecond: 90 }, { perSecond: 90 }], plinth: [{}, {}] }),
      [
        { candidate: "plinth, lean", atLeast: 0.85 },
        { candidate: "plinth, lean", atLeast: 0.95 },
        { candidate: "plinth", by: "p99Ms", atMost: 1 },
      ],
    );
    const goals = [
      { what: "heap", wanted: "at most 1", measured: "0.5", isReached: true },
      { what: "handles, of raw", wanted: "at most 9", measured: "10", isReached: false },
    ];
    const text = renderSummary([kept(resultOf()), kept({ ...resultOf(table), title: "The edge, features on", goals })]);
    const link = "[The edge, features on](#the-edge-features-on)";
    const lines = [
      `| ${link} | 2026-01-01 | 2 of 5 |`,
      "| all of them |  | **2 of 5** |",
      `| ${link} | GET: \`plinth, lean\` to \`raw\` | 0.90 | at least 0.95 |`,
      "|  | GET: p99 of `plinth` | 2.00 ms | at most 1 ms |",
      "|  | handles, of raw | 10 | at most 9 |",
    ];
    assert.deepEqual(
      text.split("\n").filter((line) => /^\| (?!---|bench)/.test(line)),
      lines,
      "a bench without goals is not in it",
    );
  });

  test("says no more when all goals are reached", async () => {
    const table = judge(await tableOf({ raw: [{}], plinth: [{}] }), [{ candidate: "plinth", atLeast: 1 }]);
    assert.doesNotMatch(renderSummary([kept(resultOf(table))]), /Not reached/);
  });
});

describe("the soak", () => {
  /** 120 looks in 20 minutes, the second half of which has 18,000 requests: seven days' waves, and what each request leaves. */
  const isFlat = (leakBytes: number) =>
    judgeMemory(
      Array.from({ length: 120 }, (_, i) => {
        const day = Math.sin((i / 120) * 7 * 2 * Math.PI);
        const leakedMiB = ((i / 120) * 36_000 * leakBytes) / 2 ** 20;
        const sample = {
          heapMiB: 24 + 0.3 * day + leakedMiB,
          externalMiB: 4,
          residentMiB: 100 + 0.5 * day + leakedMiB,
          nurseryMiB: 16 + 16 * day,
          handles: 20,
        };
        return { at: i * 10, sample };
      }),
      1200,
    ).map(({ goal }) => goal.isReached);

  test("takes the waves of days for no growth, whatever the nursery does", () => {
    assert.deepEqual(isFlat(0), [true, true, true]);
  });

  test("finds 80 bytes that each request leaves in the heap, and 400 that it leaves in resident memory", () => {
    assert.deepEqual(isFlat(80), [false, true, true]);
    assert.deepEqual(isFlat(400), [false, true, false]);
  });
});
