import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Outcome } from "../history.ts";
import { checkBank } from "./bank.ts";
import { checkCache } from "./cache.ts";
import { checkFaultsBit } from "./fault.ts";
import { checkIdempotency } from "./idempotency.ts";
import { checkLeader, checkTicks } from "./leader.ts";
import { checkLedger } from "./ledger.ts";
import { checkOrder } from "./order.ts";
import { checkPlacement } from "./placement.ts";
import { checkRecovery } from "./recovery.ts";
import { checkSet } from "./set.ts";
import type { Verdict } from "./verdict.ts";
import { combineVerdicts, createVerdict, findingsMax } from "./verdict.ts";

const kinds = ({ findings }: Verdict): string[] => [...new Set(findings.map(({ kind }) => kind))].sort();
const ok: Outcome = "ok";
const params = { seed: 11, numRuns: 100 };

describe("a verdict", () => {
  test("is unknown when nothing was seen, never true", () => {
    const empty = [
      checkSet({ adds: [], reads: [] }),
      checkLedger({ orders: [], effects: {} }),
      checkBank({ total: 0n, reads: [] }),
      checkOrder({ effects: [] }),
      checkPlacement({ writes: [], shards: {} }),
      checkLeader({ terms: [] }),
      checkTicks({ runs: [], expected: [] }),
      checkCache({ samples: [] }),
      checkIdempotency({ calls: [], effects: [] }),
      checkRecovery({ operations: [], healedAt: 0 }),
      checkFaultsBit([]),
    ];
    for (const { checker, valid, doubts } of empty)
      assert.deepEqual([valid, doubts.length > 0], ["unknown", true], checker);
    assert.equal(combineVerdicts(empty), "unknown");
    assert.equal(combineVerdicts([]), "unknown");
  });

  test("keeps a hundred findings and counts all", () => {
    const builder = createVerdict("x");
    for (let i = 0; i < 250; i++) builder.find("lost", String(i), "gone");
    const verdict = builder.end();
    assert.deepEqual([verdict.findings.length, verdict.findingCount, verdict.counts.lost], [findingsMax, 250, 250]);
    assert.equal(combineVerdicts([verdict, createVerdict("y").end()]), false);
    assert.equal(combineVerdicts([createVerdict("y").end()]), true);
  });
});

describe("each checker sees", () => {
  test("set: lost, stale, duplicated, unexpected, phantom; and what was never read is a doubt", () => {
    const adds = [
      { element: "a", outcome: ok, endedAt: 10 },
      { element: "b", outcome: ok, endedAt: 10 },
      { element: "c", outcome: ok, endedAt: 10 },
      { element: "d", outcome: "fail" as Outcome },
      { element: "e", outcome: "unknown" as Outcome },
      { element: "f", outcome: ok, endedAt: 500 },
    ];
    const reads = [
      { beganAt: 100, elements: ["a", "b", "b", "d", "e", "z"] },
      { beganAt: 5, elements: [] },
      { beganAt: 40, elements: ["b"] },
    ];
    const verdict = checkSet({ adds, reads });
    assert.deepEqual(kinds(verdict), ["duplicated", "lost", "phantom", "stale", "unexpected"]);
    assert.deepEqual([verdict.counts.recovered, verdict.counts.neverRead, verdict.counts.acknowledged], [1, 1, 4]);
    assert.match(verdict.findings.find(({ kind }) => kind === "stale")?.message ?? "", /missing 30 ms after/);
    assert.equal(checkSet({ adds: adds.slice(0, 1), reads, staleMsMax: 30 }).counts.stale, undefined);
    assert.equal(checkSet({ adds: adds.slice(0, 2), reads: [{ beganAt: 600, elements: ["a", "b"] }] }).valid, true);
    assert.equal(checkSet({ adds, reads: [{ beganAt: 600, elements: ["a", "b", "c", "f"] }] }).valid, true);
  });

  test("set: what a read in between saw and nobody added, whose add failed, twice, or that vanished again", () => {
    const adds = [
      { element: "a", outcome: ok, endedAt: 1 },
      { element: "f", outcome: "fail" as Outcome, endedAt: 1 },
      { element: "u", outcome: "unknown" as Outcome },
    ];
    const judge = (...elements: string[]) =>
      checkSet({
        adds,
        reads: [
          { beganAt: 2, elements },
          { beganAt: 3, elements: ["a"] },
        ],
      });
    assert.equal(judge("a").valid, true);
    assert.deepEqual(kinds(judge("a", "f")), ["phantom"]);
    assert.deepEqual(kinds(judge("a", "z")), ["unexpected"]);
    assert.deepEqual(kinds(judge("a", "a")), ["duplicated"]);
    assert.deepEqual(kinds(judge("a", "u")), ["lost"]);
  });

  test("ledger: half, phantom, unexpected, stuck; and what is under way is a doubt", () => {
    const orders = [
      { id: "a", outcome: ok },
      { id: "b", outcome: "unknown" as Outcome },
      { id: "c", outcome: "fail" as Outcome },
      { id: "d", outcome: "unknown" as Outcome },
      { id: "e", outcome: ok },
    ];
    const effects = { placed: ["a", "b", "c", "x", "e"], mailed: ["a", "x"] };
    const verdict = checkLedger({ orders, effects, underWay: [{ id: "e", ageMs: 40_000 }] });
    assert.deepEqual(kinds(verdict), ["half", "phantom", "stuck", "unexpected"]);
    const young = checkLedger({
      orders: [orders[0] as (typeof orders)[0], { id: "e", outcome: ok }],
      effects: { placed: ["a", "e"], mailed: ["a"] },
      underWay: [{ id: "e", ageMs: 10 }],
    });
    assert.deepEqual([young.valid, young.doubts], ["unknown", ["something is still under way"]]);
  });

  test("bank: accounts that come and go; where there are none, nothing was shown", () => {
    assert.deepEqual(checkBank({ total: 0n, reads: [{}, {}] }).doubts, ["no account was seen"]);
    assert.deepEqual(kinds(checkBank({ total: 0n, reads: [{}, { a: 0n }] })), ["accounts"]);
    assert.deepEqual(kinds(checkBank({ total: 3n, reads: [{ a: 1n, b: 2n }, { a: 3n }] })), ["accounts"]);
    assert.equal(checkBank({ total: 0n, reads: [{ a: -1n, b: 1n }], mayBeNegative: true }).valid, true);
  });

  test("order: repeated, and what one of several subscriptions never got", () => {
    const effects = [1, 2, 2].map((sequence) => ({ subscription: "s", key: "k", sequence }));
    const verdict = checkOrder({ effects, published: { k: 2 }, subscriptions: ["s", "t"] });
    assert.deepEqual(kinds(verdict), ["missing", "repeated"]);
    assert.equal(checkOrder({ effects: [{ subscription: "s", key: "k", sequence: 0 }], first: 0 }).valid, true);
  });

  test("order: what was never published, and a subscription that saw nothing, if it is named", () => {
    const effects = [1, 2, 3].map((sequence) => ({ subscription: "s", key: "k", sequence }));
    const subscriptions = ["s"];
    assert.equal(checkOrder({ effects, published: { k: 3 }, subscriptions }).valid, true);
    const beyond = checkOrder({ effects, published: { k: 1 }, subscriptions });
    assert.deepEqual([kinds(beyond), beyond.counts.unpublished], [["unpublished"], 2]);
    assert.deepEqual(kinds(checkOrder({ effects, published: {}, subscriptions })), ["unpublished"]);
    const before = [0, 1, 2, 3].map((sequence) => ({ subscription: "s", key: "k", sequence }));
    assert.deepEqual(kinds(checkOrder({ effects: before })), ["unpublished"]);
    assert.deepEqual(kinds(checkOrder({ effects, published: { k: 3 }, subscriptions: ["s", "t"] })), ["missing"]);
    assert.deepEqual(checkOrder({ effects, published: { k: 3 }, subscriptions: [] }).doubts, [
      "no subscription was named",
    ]);
    const odd = [{ subscription: "s", key: "constructor", sequence: 1 }];
    assert.deepEqual(kinds(checkOrder({ effects: odd, published: { k: 0 }, subscriptions })), ["unpublished"]);
  });

  test("placement: twice, unexpected, phantom", () => {
    const writes = [
      { key: "a", outcome: ok },
      { key: "b", outcome: "fail" as Outcome },
      { key: "c", outcome: "unknown" as Outcome },
    ];
    const verdict = checkPlacement({ writes, shards: { one: ["a", "b", "z"], two: ["a"] } });
    assert.deepEqual(kinds(verdict), ["phantom", "twice", "unexpected"]);
  });

  test("leader: an epoch that two had, one that went back; a leader that goes on is none", () => {
    const term = (owner: string, epoch: number, from: number, until: number) => ({ owner, epoch, from, until });
    assert.deepEqual(kinds(checkLeader({ terms: [term("a", 1, 0, 5), term("b", 1, 6, 9)] })), ["shared-epoch"]);
    assert.deepEqual(kinds(checkLeader({ terms: [term("a", 2, 0, 5), term("b", 1, 6, 9)] })), ["epoch-back"]);
    assert.deepEqual(kinds(checkLeader({ terms: [term("a", 1, 0, 50), term("b", 2, 6, 9), term("c", 3, 20, 60)] })), [
      "overlap",
    ]);
    const verdict = checkLeader({ terms: [term("a", 1, 0, 5), term("a", 1, 4, 9), term("b", 2, 9, 12)] });
    assert.deepEqual([verdict.valid, verdict.counts.changes], [true, 1]);
  });

  test("leader: effects under an epoch that nobody had", () => {
    const terms = [{ owner: "a", epoch: 1, from: 0, until: 9 }];
    assert.equal(checkLeader({ terms, effectEpochs: [1, 1] }).valid, true);
    const verdict = checkLeader({ terms, effectEpochs: [1, 7, 9] });
    assert.deepEqual([kinds(verdict), verdict.findingCount], [["epoch-unknown"], 2]);
    assert.deepEqual(kinds(checkLeader({ terms: [], effectEpochs: [1] })), ["epoch-unknown"]);
  });

  test("ticks: missed, unexpected", () => {
    const at = (dueAt: number) => ({ job: "j", dueAt });
    assert.deepEqual(kinds(checkTicks({ runs: [at(1), at(3)], expected: [at(1), at(2)] })), ["missed", "unexpected"]);
  });

  test("cache: early samples are counted and not judged; misses agree with everything", () => {
    const sample = (cached: string | undefined, quietMs: number) => ({ key: "k", cached, stored: "1", quietMs });
    const verdict = checkCache({ samples: [sample("0", 10), sample(undefined, 9000), sample("1", 5000)] });
    assert.deepEqual([verdict.valid, verdict.counts.earlyMismatches, verdict.counts.hits], [true, 1, 1]);
    const gone = checkCache({ samples: [{ key: "k", cached: "x", stored: undefined, quietMs: 5000 }] });
    assert.match(gone.findings[0]?.message ?? "", /the cache has "x" and the database nothing/);
  });

  test("idempotency: lost, phantom, unexpected", () => {
    const call = (key: string, outcome: Outcome) => ({ key, body: "b", outcome, answer: "1" });
    const calls = [call("a", "ok"), call("b", "fail"), call("b", "fail")];
    assert.deepEqual(kinds(checkIdempotency({ calls, effects: ["b", "z"] })), ["lost", "phantom", "unexpected"]);
  });

  test("idempotency: repeats of which none was answered show nothing", () => {
    const call = (key: string, outcome: Outcome) => ({ key, body: "b", outcome, answer: "1" });
    const none = checkIdempotency({
      calls: [call("a", "fail"), call("a", "unknown"), call("b", "ok")],
      effects: ["b"],
    });
    assert.deepEqual([none.valid, none.doubts], ["unknown", ["nothing that was repeated was answered"]]);
    const one = checkIdempotency({ calls: [call("a", "unknown"), call("a", "ok")], effects: ["a"] });
    assert.deepEqual([one.valid, one.counts.answered], [true, 1]);
  });

  test("recovery: how long it took", () => {
    const operations = [0, 900, 1100, 1300].map((beganAt) => ({ beganAt, outcome: "fail" as Outcome }));
    const fine = Array.from({ length: 20 }, (_, i) => ({ beganAt: 7000 + i, outcome: ok }));
    const verdict = checkRecovery({ operations: [...operations, ...fine], healedAt: 1000 });
    assert.deepEqual([verdict.valid, verdict.counts.recoveredMs, verdict.counts.failedWhileHealing], [true, 300, 2]);
    assert.equal(checkRecovery({ operations: fine.slice(0, 5), healedAt: 1000 }).valid, "unknown");
  });

  test("faults: one that did not bite makes a run inconclusive, and is no finding", () => {
    assert.equal(checkFaultsBit([{ fault: "cut", bites: 3 }]).valid, true);
    const verdict = checkFaultsBit([
      { fault: "cut", bites: 3 },
      { fault: "kill", bites: 1, bitesMin: 4 },
    ]);
    assert.deepEqual([verdict.valid, verdict.findingCount, verdict.counts.kill], ["unknown", 0, 1]);
    assert.match(verdict.doubts[0] ?? "", /kill: it bit 1 times, at least 4/);
  });
});

describe("over generated histories", () => {
  const outcome = fc.constantFrom<Outcome>("ok", "fail", "unknown");
  const asked = fc.uniqueArray(
    fc.record({ id: fc.string({ minLength: 1, maxLength: 6 }), outcome, happens: fc.boolean() }),
    {
      selector: ({ id }) => id,
      minLength: 1,
      maxLength: 30,
    },
  );
  const happened = (all: readonly { id: string; outcome: Outcome; happens: boolean }[]) =>
    all.filter((each) => each.outcome === "ok" || (each.outcome === "unknown" && each.happens)).map(({ id }) => id);
  const first = <T>(items: readonly T[]): T => items[0] as T;

  test("set, ledger and placement accept what a right system may have done, and no more", () => {
    fc.assert(
      fc.property(asked, fc.nat(), (all, chance) => {
        const there = happened(all);
        const acknowledged = all.filter((each) => each.outcome === "ok").map(({ id }) => id);
        const victim = acknowledged[chance % Math.max(1, acknowledged.length)];
        const judges: ((ids: readonly string[]) => Verdict)[] = [
          (ids) =>
            checkSet({
              adds: all.map(({ id, outcome }) => ({ element: id, outcome })),
              reads: [{ beganAt: 1, elements: ids }],
            }),
          (ids) => checkLedger({ orders: all, effects: { placed: ids } }),
          (ids) =>
            checkPlacement({ writes: all.map(({ id, outcome }) => ({ key: id, outcome })), shards: { one: ids } }),
        ];
        for (const judge of judges) {
          assert.equal(judge(there).valid, victim === undefined ? "unknown" : true);
          if (victim === undefined) continue;
          assert.equal(judge(there.filter((id) => id !== victim)).valid, false, "one lost");
          assert.equal(judge([...there, victim]).valid, false, "one twice");
          assert.equal(judge([...there, "nobody's id"]).valid, false, "one from nowhere");
        }
      }),
      params,
    );
  });

  test("order accepts any interleaving of keys, and refuses any two of one key in the wrong order", () => {
    const lines = fc.array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(lines, fc.infiniteStream(fc.nat()), (lengths, choices) => {
        const left = lengths.map((length, key) => ({ key: `k${key}`, next: 1, length }));
        const effects: { subscription: string; key: string; sequence: number }[] = [];
        for (const choice of choices) {
          const open = left.filter(({ next, length }) => next <= length);
          if (open.length === 0) break;
          const line = open[choice % open.length] as (typeof left)[number];
          effects.push({ subscription: "s", key: line.key, sequence: line.next++ });
        }
        const published = Object.fromEntries(left.map(({ key, length }) => [key, length]));
        const subscriptions = ["s"];
        assert.equal(checkOrder({ effects, published, subscriptions }).valid, true);
        const [a, b] = effects.flatMap((each, i) => (each.key === "k0" ? [i] : []));
        const swapped = [...effects];
        [swapped[a as number], swapped[b as number]] = [first(effects.slice(b)), first(effects.slice(a))];
        assert.equal(checkOrder({ effects: swapped, published, subscriptions }).valid, false);
        assert.equal(checkOrder({ effects: effects.slice(0, -1), published, subscriptions }).valid, false);
      }),
      params,
    );
  });

  test("bank accepts every series of whole transfers, and refuses one that lost a coin", () => {
    const transfer = fc.record({ from: fc.nat(3), to: fc.nat(3), amount: fc.bigInt(0n, 50n) });
    fc.assert(
      fc.property(fc.array(transfer, { minLength: 1, maxLength: 20 }), (transfers) => {
        const balances = [1000n, 1000n, 1000n, 1000n];
        const reads = transfers.map(({ from, to, amount }) => {
          balances[from] = (balances[from] ?? 0n) - amount;
          balances[to] = (balances[to] ?? 0n) + amount;
          return Object.fromEntries(balances.map((balance, i) => [String(i), balance]));
        });
        assert.equal(checkBank({ total: 4000n, reads }).valid, true);
        const torn = [...reads.slice(0, -1), { ...first(reads.slice(-1)), "0": (balances[0] ?? 0n) - 1n }];
        assert.equal(checkBank({ total: 4000n, reads: torn }).valid, false);
      }),
      params,
    );
  });
});
