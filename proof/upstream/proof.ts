import { setTimeout as sleep } from "node:timers/promises";
import { runLoadApart } from "../../bench/load/apart.ts";
import { root } from "../../scripts/source/tree.ts";
import { startFleet } from "../fleet.ts";
import type { Claim, Proof, ProofOptions, Shown } from "../proof.ts";
import { startTargets, type Targets } from "./targets.ts";
import type { Mode } from "./targets-program.ts";
import { type Watch, watchTarget } from "./watch.ts";

interface Plan {
  readonly pickers: readonly string[];
  readonly rate: number;
  /** Seconds of each phase, in order. */
  readonly seconds: Readonly<Record<PhaseName, number>>;
  /** Beside the picker. Of a short run: shorter ejections, so that it sees them end. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly successMin: number;
  /** Of all requests, those that the target must get again before the end of a phase in which it is well. */
  readonly backMin: number;
  /** Of all requests, those that it may get while it is slow. A short run shares the machine with others. */
  readonly slowMax: number;
}

const phases = ["before", "slow", "between", "failing", "repaired", "gray", "after"] as const;
type PhaseName = (typeof phases)[number];

const modeOf: Readonly<Record<PhaseName, Mode>> = {
  before: "well",
  slow: "slow",
  between: "well",
  failing: "failing",
  repaired: "well",
  gray: "gray",
  after: "well",
};

const real: Plan = {
  pickers: ["p2c", "least-request", "round-robin"],
  rate: 300,
  seconds: { before: 15, slow: 30, between: 50, failing: 40, repaired: 110, gray: 40, after: 130 },
  options: {},
  successMin: 0.999,
  backMin: 0.2,
  slowMax: 0.05,
};
const short: Plan = {
  pickers: ["p2c"],
  rate: 120,
  seconds: { before: 3, slow: 4, between: 4, failing: 5, repaired: 12, gray: 5, after: 14 },
  options: {
    slowStart: "2s",
    outliers: { ejection: "2s", interval: "1s" },
    health: { path: "/up", interval: "500ms", unhealthyInterval: "300ms" },
  },
  successMin: 0.99,
  backMin: 0.1,
  slowMax: 0.2,
};

/** One phase of a run, as it was. */
interface Phase {
  readonly beganAt: number;
  readonly endedAt: number;
  /** Of all requests that reached a target, those that reached the sick one: in all of it, after 2 s, in its last quarter. */
  readonly share: number;
  readonly soonShare: number;
  readonly lastShare: number;
}

interface Run {
  readonly sent: number;
  readonly succeeded: number;
  readonly p99Ms: number;
  readonly phases: Readonly<Record<PhaseName, Phase>>;
  readonly watch: Watch;
}

export const upstream: Proof = {
  title: "One sick target of three is left alone, and comes back",
  how:
    "A gateway process with its defaults in front of three plain servers, each answering within 8 ms on average. An open loop from " +
    "another process asks at a constant rate, four of five requests GET and one POST, which is never sent twice once it has " +
    "left. One server becomes ten times slower; is well; answers 500 or resets connections, its health check included; is well; fails " +
    "every request but answers its health check; is well. Every request counts. What the gateway thinks of the server is " +
    "read from its own metrics, every 50 ms.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const plan = smoke ? short : real;
    const claims: Claim[] = [];
    const facts: Record<string, string | number> = { "requests a second": plan.rate };
    for (const picker of plan.pickers) {
      const run = await runWith(picker, plan, say);
      claims.push(...claimsOf(picker, run, plan));
      Object.assign(facts, factsOf(picker, run));
    }
    return { claims, facts };
  },
};

async function runWith(picker: string, plan: Plan, say: (text: string) => void): Promise<Run> {
  const targets = await startTargets();
  try {
    const fleet = await startFleet({
      appFile: `${root}proof/upstream/app.ts`,
      groups: { front: 1 },
      edge: "front",
      environment: {
        PLINTH_LOG: "warn",
        DESK_TARGETS: JSON.stringify(targets.urls),
        DESK_OPTIONS: JSON.stringify({ balance: picker, ...plan.options }),
      },
    });
    try {
      const [front] = fleet.members;
      const watch = watchTarget(front?.ports.management ?? 0, targets.sick);
      const loading = startLoad(fleet.urls[0] ?? "", plan);
      try {
        await begun(targets);
        const passed = await passPhases(targets, plan, (text) => say(`${picker}: ${text}`));
        return { ...(await loading), phases: passed, watch };
      } finally {
        await watch.stop();
      }
    } finally {
      await fleet.dispose();
    }
  } finally {
    await targets.stop();
  }
}

async function startLoad(url: string, { rate, seconds }: Plan): Promise<Pick<Run, "sent" | "succeeded" | "p99Ms">> {
  const body = JSON.stringify({ order: 1 });
  const report = await runLoadApart({
    url,
    routes: [
      { name: "get", path: "/desk/orders", weight: 4 },
      { name: "post", method: "POST", path: "/desk/orders", headers: { "content-type": "application/json" }, body },
    ],
    rate,
    seconds: phases.reduce((sum, phase) => sum + seconds[phase], 0),
    connectionsMax: 256,
  });
  const all = Object.values(report.routes);
  return {
    sent: all.reduce((sum, route) => sum + route.sent, 0),
    succeeded: all.reduce((sum, route) => sum + route.good + route.late, 0),
    p99Ms: Math.max(...all.map((route) => route.p99Ms)),
  };
}

async function begun(targets: Targets): Promise<void> {
  const endAt = performance.now() + 30_000;
  while ((await targets.counts()).every((count) => count === 0)) {
    if (performance.now() > endAt) throw new Error("no request reached a target within 30 s");
    await sleep(20);
  }
}

async function passPhases(targets: Targets, plan: Plan, say: (text: string) => void): Promise<Run["phases"]> {
  const passed: Partial<Record<PhaseName, Phase>> = {};
  for (const name of phases) {
    const seconds = plan.seconds[name];
    await targets.set(modeOf[name]);
    const beganAt = performance.now();
    const first = await targets.counts();
    await sleep(2000);
    const soon = await targets.counts();
    await sleep(seconds * 750 - 2000);
    const late = await targets.counts();
    await sleep(seconds * 250);
    const last = await targets.counts();
    const [share, soonShare, lastShare] = [first, soon, late].map((from) => shareOf(from, last)) as [
      number,
      number,
      number,
    ];
    const phase = { beganAt, endedAt: performance.now(), share, soonShare, lastShare };
    passed[name] = phase;
    say(`${name}: ${percent(phase.share)} went to it, ${percent(phase.lastShare)} in the last quarter`);
  }
  return passed as Run["phases"];
}

/** Of the requests between two counts, the part that the sick one got. */
function shareOf(from: readonly number[], to: readonly number[]): number {
  const counts = to.map((count, place) => count - (from[place] ?? 0));
  return (
    (counts[2] ?? 0) /
    Math.max(
      1,
      counts.reduce((sum, count) => sum + count, 0),
    )
  );
}

function claimsOf(picker: string, { sent, succeeded, phases: passed, watch }: Run, plan: Plan): Claim[] {
  const { slow, failing, gray, repaired, after } = passed;
  const isHealthy = !watch.wasUnhealthy(gray.beganAt, gray.endedAt);
  const claims: Claim[] = [
    {
      claim: `${picker}: at least ${percent(plan.successMin)} of all requests succeed`,
      seen: `${percent(succeeded / sent)}, ${sent - succeeded} of ${sent.toLocaleString("en")} failed`,
      holds: sent > 0 && succeeded / sent >= plan.successMin,
    },
    {
      claim: `${picker}: from 2 s on the failing one gets less than 2 % of the requests`,
      seen: percent(failing.soonShare),
      holds: failing.soonShare < 0.02,
    },
    {
      claim: `${picker}: so does the one that fails requests and is healthy at its health check`,
      seen: `${percent(gray.soonShare)}, ${isHealthy ? "healthy all the time" : "but not healthy"}`,
      holds: gray.soonShare < 0.02 && isHealthy,
    },
    {
      claim: `${picker}: it comes back, to at least ${percent(plan.backMin)} of the requests, after each repair`,
      seen: `${percent(repaired.lastShare)}, ${percent(after.lastShare)}`,
      holds: repaired.lastShare >= plan.backMin && after.lastShare >= plan.backMin,
    },
  ];
  if (picker === "p2c") {
    claims.push({
      claim: `${picker}: one that is ten times slower gets less than ${percent(plan.slowMax)} of the requests`,
      seen: percent(slow.share),
      holds: slow.share < plan.slowMax,
    });
  }
  return claims;
}

function factsOf(picker: string, { phases: passed, watch, p99Ms }: Run): Record<string, string> {
  const { slow, failing, gray, repaired, after } = passed;
  return {
    [`${picker}: share while slow`]: percent(slow.share),
    [`${picker}: share while failing`]: percent(failing.share),
    [`${picker}: share while healthy at its check alone`]: percent(gray.share),
    [`${picker}: left out when failing`]: leftOut(watch, failing),
    [`${picker}: left out when healthy at its check alone`]: leftOut(watch, gray),
    [`${picker}: back after the first repair`]: seconds(watch.backAfter(repaired.beganAt)),
    [`${picker}: back after the second`]: seconds(watch.backAfter(after.beganAt)),
    [`${picker}: 99 of 100 answers within`]: `${p99Ms.toFixed(0)} ms`,
  };
}

/** Who chooses by latency may leave it alone before it has failed often enough to be ejected. */
function leftOut(watch: Watch, { beganAt, endedAt }: Phase): string {
  const after = watch.leftOutAfter(beganAt);
  return after === undefined || beganAt + after > endedAt ? "not needed" : `after ${seconds(after)}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0.99 ? 3 : 1)} %`;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "never" : `${(ms / 1000).toFixed(1)} s`;
}
