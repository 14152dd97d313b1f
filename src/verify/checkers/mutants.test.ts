import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkBank } from "./bank.ts";
import { checkCache } from "./cache.ts";
import { checkIdempotency } from "./idempotency.ts";
import { checkLeader, checkTicks } from "./leader.ts";
import { checkLedger } from "./ledger.ts";
import { checkOrder } from "./order.ts";
import { checkPlacement } from "./placement.ts";
import { checkRecovery } from "./recovery.ts";
import { checkSet } from "./set.ts";
import type { Verdict } from "./verdict.ts";
import {
  runBank,
  runCache,
  runConsumer,
  runElection,
  runOutage,
  runRelay,
  runRetries,
  runShards,
  runShop,
} from "./wrong-systems.fixture.ts";

const seeds = Array.from({ length: 20 }, (_, i) => i + 1);

/** A system, what judges it, and by defect the kinds of findings that must show it. */
interface Trial<D extends string> {
  readonly name: string;
  readonly judge: (seed: number, defect?: D) => Verdict;
  readonly defects: Readonly<Record<D, readonly string[]>>;
}

function trial<D extends string>(t: Trial<D>): void {
  describe(t.name, () => {
    test("accepts the right system, whatever happened to it", () => {
      for (const seed of seeds) {
        const verdict = t.judge(seed);
        assert.deepEqual([verdict.valid, verdict.findings, verdict.doubts], [true, [], []], `seed ${seed}`);
      }
    });
    for (const defect of Object.keys(t.defects) as D[]) {
      test(`refuses the one with the defect: ${defect}`, () => {
        const kinds = new Set<string>();
        for (const seed of seeds) {
          const verdict = t.judge(seed, defect);
          assert.equal(verdict.valid, false, `seed ${seed}`);
          for (const { kind } of verdict.findings) kinds.add(kind);
        }
        for (const kind of t.defects[defect]) assert.ok(kinds.has(kind), `${kind} is not among ${[...kinds]}`);
      });
    }
  });
}

trial({
  name: "the ledger",
  judge: (seed, defect?: "inbox off" | "acknowledge before commit" | "acknowledge delivery before effect") =>
    checkLedger(runShop(seed, defect)),
  defects: {
    "inbox off": ["doubled"],
    "acknowledge before commit": ["lost"],
    "acknowledge delivery before effect": ["lost"],
  },
});
trial({
  name: "the set",
  judge: (seed, defect?: "id cursor") => checkSet(runRelay(seed, defect)),
  defects: { "id cursor": ["lost"] },
});
trial({
  name: "the order of a key",
  judge: (seed, defect?: "keys run at once" | "skips what failed") => checkOrder(runConsumer(seed, defect)),
  defects: { "keys run at once": ["gap", "reordered"], "skips what failed": ["gap", "missing"] },
});
trial({
  name: "the bank",
  judge: (seed, defect?: "torn transfer" | "no check") => checkBank(runBank(seed, defect)),
  defects: { "torn transfer": ["total"], "no check": ["negative"] },
});
trial({
  name: "the leader",
  judge: (seed, defect?: "no epoch check" | "believes after its lease") =>
    checkLeader(runElection(seed, defect).leader),
  defects: { "no epoch check": ["stale-effect"], "believes after its lease": ["overlap"] },
});
trial({
  name: "the ticks",
  judge: (seed, defect?: "tick without its row") => checkTicks(runElection(seed, defect).ticks),
  defects: { "tick without its row": ["twice"] },
});
trial({
  name: "the placement",
  judge: (seed, defect?: "fence off" | "move forgets") => {
    const verdict = checkPlacement(runShards(seed, defect));
    return verdict;
  },
  defects: { "fence off": ["misplaced"], "move forgets": ["lost"] },
});
trial({
  name: "idempotency",
  judge: (seed, defect?: "no store" | "answers anew" | "does not compare bodies") =>
    checkIdempotency(runRetries(seed, defect)),
  defects: { "no store": ["doubled"], "answers anew": ["other-answer"], "does not compare bodies": ["reused"] },
});
trial({
  name: "the recovery",
  judge: (seed, defect?: "never heals") => checkRecovery(runOutage(seed, defect)),
  defects: { "never heals": ["failing"] },
});

describe("the cache", () => {
  test("accepts the right system, and refuses the one that fills without a lease", () => {
    let refused = 0;
    for (const seed of seeds) {
      assert.notEqual(checkCache(runCache(seed)).valid, false, `seed ${seed}`);
      // Not every run ends with a stale entry: over all of them it shows.
      const verdict = checkCache(runCache(seed, "fill without lease"));
      if (verdict.valid === false) refused++;
      assert.ok(verdict.findings.every(({ kind }) => kind === "mismatch"));
    }
    assert.ok(refused >= 3, `${refused} of ${seeds.length} runs`);
  });
});
