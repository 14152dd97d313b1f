import { moveCrashPoints } from "../../src/shards/index.ts";
import { checkFaultsBit } from "../../src/verify/index.ts";
import type { Claim, Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import { pausesIn } from "./judgement.ts";
import { leaseMs } from "./killing.ts";
import { type Moving, moveUnderTraffic } from "./moving.ts";
import { withFenceOff, withoutDrain } from "./mutants.ts";
import { openStage } from "./stage.ts";
import { measureThroughput, medianOf, type Run, ratiosOf, shardCounts } from "./throughput.ts";

/** A sharded service whose buckets spread from two servers to four while it is used and its movers die. */
export const shards: Proof = {
  title: "Shards move under traffic, and nothing is lost",
  how:
    "A service on two Postgres servers, with events, is written and read by processes of their own, one of which never learns of a " +
    "move. Two more servers join, every process is restarted with their addresses, and the buckets are spread over " +
    `four. Movers kill themselves with SIGKILL at each of the ${moveCrashPoints.length} points of a move in turn, and another process goes on ` +
    `(lease ${leaseMs} ms here, 15 s by default); the rest moves undisturbed. Each write makes a version, an entry and an event in one ` +
    "transaction; checkers compare what was acknowledged with every row on every server and with what another service heard.",
  async run({ smoke, say }): Promise<Shown> {
    const stage = await openStage();
    try {
      const moving = await moveUnderTraffic(stage, {
        keyCount: smoke ? 60 : 400,
        notesEach: smoke ? 10 : 50,
        points: smoke ? ["move.copied-some", "move.source-left", "move.target-open"] : moveCrashPoints,
        bucketsEach: 8,
        bucketsPerMove: 16,
        bucketsMax: smoke ? 32 : 256,
        say,
      });
      sayFindings(moving, say);
      say("the same without the fence, and without the wait for the outbox");
      const unfenced = await withFenceOff(stage);
      const hasty = await withoutDrain(stage);
      const times = { rounds: smoke ? 1 : 7, runMs: smoke ? 1_000 : 4_000, say };
      const free = await measureThroughput(stage, times);
      const limited = await measureThroughput(stage, { ...times, limit: serverLimit });
      return {
        claims: [
          ...claimsOf(moving),
          {
            claim: "without the fence, the checkers find rows in the wrong place (mutant)",
            seen: `${unfenced.placement.findingCount} findings of placement, ${unfenced.set.findingCount} of the set, ${unfenced.versions.findingCount} of the versions`,
            holds: unfenced.placement.valid === false && unfenced.versions.valid === false,
          },
          {
            claim: "without the wait for the outbox, events overtake each other, and the checker sees it (mutant)",
            seen: `${hasty.events.findingCount} findings`,
            holds: hasty.events.valid === false && hasty.placement.valid === true,
          },
          {
            claim: `write throughput where a server takes ${serverLimit.atATime} transactions at a time of ${serverLimit.leastMs} ms at least: grows with the shards (2: × 1.4, 4: × 2 or more)`,
            seen: `${ratesOf(limited)} writes a second; ${growthOf(limited)}`,
            holds: medianOf(ratiosOf(limited, 2)) >= 1.4 && medianOf(ratiosOf(limited, 4)) >= 2,
          },
        ],
        facts: {
          ...factsOf(moving),
          "writes a second on this machine, whose processors all servers and the writer share": `${ratesOf(free)}; ${growthOf(free)}`,
          "processor time for a write": shardCounts.map((count) => costOf(free, count)).join("; "),
          "processors busy with it, of two": shardCounts.map((count) => busyOf(free, count)).join(", "),
          "what that says":
            "servers on one machine share its processors and its disk: there shards cannot add up, and this run does not show " +
            "that they do elsewhere. It shows what a write costs in processor time on 1, 2 and 4, and, with servers slowed down, " +
            "that throughput adds up where the server is what is scarce",
        },
      };
    } finally {
      await stage.dispose();
    }
  },
};

function claimsOf(moving: Moving): Claim[] {
  const { judgement, killed, moves, operations, undisturbed, frozen, areEventsThrough, wrongBuckets, events } = moving;
  const { set, placement, versions, events: order, mismatched, claimsWrong, readsBehind, scattersHoled } = judgement;
  const { counts } = judgement;
  const bitten = checkFaultsBit([
    ...killed.map(({ point, bit }) => ({ fault: point, bites: bit ? 1 : 0 })),
    { fault: "uses of the stale map", bites: frozen.staleUses },
  ]);
  const pauses = pausesIn(withoutFrozen(operations), undisturbed.beganAt, undisturbed.endedAt);
  const notDone = moves.filter(({ state }) => state !== "DONE").length;
  return [
    {
      claim: "rows lost (checkSet)",
      seen: `${set.counts.lost ?? 0} of ${set.counts.acknowledged} acknowledged`,
      holds: set.valid === true,
    },
    {
      claim: "each key is in exactly one place, where the directory says (checkPlacement)",
      seen: `${placement.counts.keys} rows on ${placement.counts.shards} servers, ${placement.findingCount} findings`,
      holds: placement.valid === true,
    },
    none("buckets that are open elsewhere than the directory says, or nowhere", wrongBuckets),
    {
      claim: "the versions of each key have no gap and no repeat (checkOrder)",
      seen: `${versions.counts.effects} versions of ${versions.counts.keys} keys, ${versions.findingCount} findings`,
      holds: versions.valid === true,
    },
    {
      claim: "the events of each key take effect elsewhere in order, once, without a gap, across moves (checkOrder)",
      seen: `${events} events, ${order.findingCount} findings, ${mismatched} with another number than their version`,
      holds: order.valid === true && mismatched === 0 && areEventsThrough,
    },
    none("names that two keys have, and acknowledged claims that are gone", claimsWrong),
    none("reads that were behind a write acknowledged before they began", readsBehind),
    {
      claim: "a scatter that answers has every key once",
      seen: `${counts.scatters - scattersHoled} of ${counts.scatters}`,
      holds: scattersHoled === 0 && counts.scatters > 0,
    },
    {
      claim: "the faults bit: each mover died at its point, and the stale map was used",
      seen: `${killed.filter(({ bit }) => bit).length} of ${killed.length} movers, ${frozen.staleUses} stale uses`,
      holds: bitten.valid === true,
    },
    {
      claim: "longest pause of a write while nobody kills movers, at most 2,000 ms, none refused",
      seen: `${pauses.longestMs} ms in ${moves.length} moves, ${pauses.refused} refused, ${notDone} moves not done`,
      holds: pauses.longestMs <= 2_000 && pauses.refused === 0 && notDone === 0,
    },
  ];
}

function factsOf({ judgement, killed, moves, operations, bucketsByShard }: Moving): Shown["facts"] {
  const { writes, reads, scatters, claims, unknown } = judgement.counts;
  const others = withoutFrozen(operations);
  const underKills = killed.map(({ point, beganAt, endedAt }) => ({ point, ...pausesIn(others, beganAt, endedAt) }));
  const worst = underKills.toSorted((a, b) => b.longestMs - a.longestMs)[0];
  const refusedOf = (list: readonly { action: string; outcome: string }[]) =>
    list.filter(({ action, outcome }) => outcome === "fail" && action !== "claim").length;
  const measured = moves.map(({ pauseMs }) => pauseMs ?? 0);
  return {
    "writes acknowledged": writes,
    "reads, scatters, claims": `${reads}, ${scatters}, ${claims}`,
    "of unknown outcome": unknown,
    "buckets at the end": Object.entries(bucketsByShard)
      .map(([shard, count]) => `${shard} ${count}`)
      .join(", "),
    "longest pause that a mover measured": `${Math.round(Math.max(...measured))} ms`,
    "longest pause of a write while movers were killed": `${worst?.longestMs} ms (${worst?.point})`,
    "longest wait before a write was acknowledged or refused": `${Math.max(...underKills.map(({ longestTryMs }) => longestTryMs))} ms`,
    "tries refused while movers were killed (all done when tried again)": refusedOf(others),
    "refused to the process with the stale map": refusedOf(operations) - refusedOf(others),
    "rows copied by the undisturbed moves": moves.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0),
  };
}

/** A server that is slower than this machine, so that the servers are what is scarce. */
const serverLimit = { atATime: 2, leastMs: 40 };

function ratesOf(runs: readonly Run[]): string {
  const rateOf = (count: number) => medianOf(runs.filter(({ shards }) => shards === count).map((run) => run.perSecond));
  return shardCounts.map((count) => `${count}: ${Math.round(rateOf(count))}`).join(", ");
}

/** The median of the rounds, and the least and the most. */
function growthOf(runs: readonly Run[]): string {
  return [2, 4]
    .map((count) => {
      const ratios = ratiosOf(runs, count);
      const [median, least, most] = [medianOf(ratios), Math.min(...ratios), Math.max(...ratios)];
      return `${count} shards × ${median.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`;
    })
    .join(", ");
}

function costOf(runs: readonly Run[], count: number): string {
  const own = runs.filter(({ shards }) => shards === count);
  const [server, client] = [medianOf(own.map((run) => run.serverMs)), medianOf(own.map((run) => run.clientMs))];
  return `${count}: ${server.toFixed(2)} ms in the servers, ${client.toFixed(2)} ms in the writer`;
}

function busyOf(runs: readonly Run[], count: number): string {
  const own = runs.filter(({ shards }) => shards === count);
  const share = medianOf(own.map(({ perSecond, serverMs, clientMs }) => (perSecond * (serverMs + clientMs)) / 1000));
  return `${count}: ${share.toFixed(2)}`;
}

function withoutFrozen(operations: Moving["operations"]): Moving["operations"] {
  return operations.filter(({ process }) => process !== "frozen");
}

function sayFindings({ judgement: { set, placement, versions, events } }: Moving, say: (text: string) => void): void {
  for (const { checker, findings, doubts } of [set, placement, versions, events]) {
    for (const { kind, subject, message } of findings.slice(0, 5)) say(`${checker}: ${kind} ${subject}: ${message}`);
    for (const doubt of doubts) say(`${checker}: ${doubt}`);
  }
}
