import { runLoadApart } from "../../bench/load/apart.ts";
import type { LoadReport } from "../../bench/load/open-loop.ts";
import { canPin } from "../../bench/program.ts";
import type { Claim, Proof, ProofOptions, Shown } from "../proof.ts";
import { measureAmplification } from "./amplification.ts";
import { startOffice } from "./office.ts";

interface Plan {
  readonly capacitySeconds: number;
  readonly seconds: number;
  /** At five times the capacity, before it goes back to 0.7. */
  readonly longSeconds: number;
  readonly calmSeconds: number;
  readonly chainSeconds: number;
  /** Of the peak, by factor. A short run shares the machine with others, and shows that the proof works. */
  readonly goodMin: Readonly<Record<number, number>>;
  readonly criticalMin: number;
}

const real: Plan = {
  capacitySeconds: 15,
  seconds: 30,
  longSeconds: 60,
  calmSeconds: 20,
  chainSeconds: 30,
  goodMin: { 2: 0.9, 5: 0.85, 10: 0.8 },
  criticalMin: 0.999,
};
const short: Plan = {
  capacitySeconds: 2,
  seconds: 3,
  longSeconds: 4,
  calmSeconds: 4,
  chainSeconds: 3,
  goodMin: { 2: 0.4, 5: 0.3, 10: 0.2 },
  criticalMin: 0.7,
};

/** Critical traffic, as a share of the capacity: the same at all times. */
const criticalShare = 0.3;
/** A client has no use for an answer that comes later. */
const goodMs = 1_000;
const connections = 256;

export const overload: Proof = {
  title: "An overloaded process does its work, and the most important first",
  how:
    "One process whose requests cost about five milliseconds of a processor, each; its capacity is measured by a closed " +
    "loop with nothing guarded. Then an open loop from another process asks for two, five and ten times as much: critical " +
    "orders at 0.3 of the capacity, and the rest searches (sheddable_plus, which wait for one of 16 sessions first) and " +
    "browsing (sheddable). Good is an answer within a second of when its request was meant to be sent. After a minute at " +
    "five times it goes back to 0.7. The same traffic without the guard shows what it is for. Last, a chain of three " +
    "processes whose leaf always fails.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const plan = smoke ? short : real;
    const { capacity, unguarded } = await measureUnguarded(plan, say);
    const office = await startOffice("on");
    const claims: Claim[] = [];
    try {
      await closedLoop(office.url, plan.capacitySeconds);
      for (const factor of [2, 5, 10]) {
        const seconds = factor === 5 ? plan.longSeconds : plan.seconds;
        const report = await openLoop(office.url, capacity, factor, seconds);
        say(describe(factor, capacity, report));
        claims.push(...claimsOf(factor, capacity, report, plan));
        if (factor === 5) claims.push(recoveryOf(await openLoop(office.url, capacity, 0.7, plan.calmSeconds), say));
      }
    } finally {
      await office.stop();
    }
    const share = goodOf(unguarded) / unguarded.seconds / capacity;
    claims.push({
      claim: "the same traffic at five times the capacity, unguarded, leaves less than half of the peak",
      seen: percent(share),
      holds: share < 0.5,
    });
    const { requests, calls, retries } = await measureAmplification(plan.chainSeconds);
    claims.push({
      claim: "a leaf that always fails gets at most 1.2 calls for each request, through three services that may retry",
      seen: `${(calls / requests).toFixed(2)} (${calls} for ${requests}, ${retries} retries)`,
      holds: calls > 0 && calls <= 1.2 * requests,
    });
    return { claims, facts: { "capacity, requests/s": Math.round(capacity), "each on its own core": canPin } };
  },
};

async function measureUnguarded(plan: Plan, say: ProofOptions["say"]) {
  const office = await startOffice("off");
  try {
    await closedLoop(office.url, 2);
    const capacity = goodOf(await closedLoop(office.url, plan.capacitySeconds)) / plan.capacitySeconds;
    say(`capacity: ${capacity.toFixed(0)} requests/s`);
    const unguarded = await openLoop(office.url, capacity, 5, Math.min(plan.seconds, 15));
    say(`unguarded, ${describe(5, capacity, unguarded)}`);
    return { capacity, unguarded };
  } finally {
    await office.stop();
  }
}

const routes = [
  { name: "order", path: "/order" },
  { name: "search", path: "/search" },
  { name: "browse", path: "/browse" },
] as const;

/** The peak: as much as it can do of what it will be asked for, without anybody waiting for long. */
function closedLoop(url: string, seconds: number): Promise<LoadReport> {
  return runLoadApart({ url, routes, rate: "closed", seconds, connectionsMax: 24, goodMs });
}

function openLoop(url: string, capacity: number, factor: number, seconds: number): Promise<LoadReport> {
  const rest = factor - criticalShare;
  const weights = { order: criticalShare, search: rest / 3, browse: (2 * rest) / 3 };
  return runLoadApart({
    url,
    routes: routes.map((route) => ({ ...route, weight: weights[route.name] })),
    rate: factor * capacity,
    seconds,
    connectionsMax: connections,
    warmConnections: connections,
    goodMs,
    timeoutMs: 2_000,
  });
}

function claimsOf(factor: number, capacity: number, report: LoadReport, plan: Plan): Claim[] {
  const share = goodOf(report) / report.seconds / capacity;
  const min = plan.goodMin[factor] ?? 1;
  const { sent = 0, good = 0 } = report.routes.order ?? {};
  return [
    {
      claim: `at ${factor} times the capacity, good answers stay at or above ${percent(min)} of the peak`,
      seen: percent(share),
      holds: share >= min,
    },
    {
      claim: `at ${factor} times the capacity, at least ${percent(plan.criticalMin)} of critical requests are answered well`,
      seen: `${percent(good / sent)} of ${sent}`,
      holds: good / sent >= plan.criticalMin,
    },
  ];
}

/** The second from which on nothing fails any more. */
function recoveryOf({ timeline }: LoadReport, say: ProofOptions["say"]): Claim {
  let from = timeline.length;
  while (from > 0 && isWell(timeline[from - 1])) from--;
  say(`back at 0.7: good in each second ${timeline.map(({ sent, good }) => `${good}/${sent}`).join(" ")}`);
  return {
    claim: "back at 0.7 times the capacity, it has recovered within 10 s, without a restart",
    seen: from === timeline.length ? "not recovered" : `after ${from} s`,
    holds: from < timeline.length && from <= 10,
  };
}

function isWell(moment: LoadReport["timeline"][number] | undefined): boolean {
  return moment !== undefined && moment.good >= 0.99 * moment.sent;
}

function goodOf({ routes: reports }: LoadReport): number {
  return Object.values(reports).reduce((sum, { good }) => sum + good, 0);
}

function describe(factor: number, capacity: number, report: LoadReport): string {
  const parts = Object.entries(report.routes).map(
    ([name, { sent, good, p99Ms, refusedP99Ms }]) =>
      `${name} ${percent(good / sent)} of ${sent}, p99 ${p99Ms.toFixed(0)} ms, refused within ${refusedP99Ms.toFixed(0)} ms`,
  );
  const share = goodOf(report) / report.seconds / capacity;
  return `${factor}×: ${percent(share)} of the peak; ${parts.join("; ")}; sent at most ${report.lateMs.toFixed(0)} ms late`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0.99 && share < 1 ? 2 : 0)} %`;
}
