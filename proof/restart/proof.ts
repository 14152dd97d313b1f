import { setTimeout as sleep } from "node:timers/promises";
import { sumOf } from "../../examples/shop/traffic/tally.ts";
import { createTraffic, type TrafficReport } from "../../examples/shop/traffic/traffic.ts";
import type { Claim, Proof, ProofOptions, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import { type Census, createCensus } from "./census.ts";
import { killEach, ms, type Restart, restartAll } from "./rounds.ts";
import { type Shop, shopGroups, startShop } from "./shop.ts";

/** What is asked of the shop while it is restarted. */
interface Load {
  readonly rate: number;
  readonly users: number;
  readonly requestsMin: number;
  readonly roundsMin: number;
}

const real: Load = { rate: 80, users: 60, requestsMin: 20_000, roundsMin: 2 };
const short: Load = { rate: 60, users: 30, requestsMin: 1_500, roundsMin: 1 };

/** Every process of the shop, restarted in turn while customers buy. */
export const restart: Proof = {
  title: "A rolling restart fails no request",
  how:
    "The shop in production mode, two processes of each group on Postgres and Redis, the gateways behind one address that " +
    "hands on connections to those whose last probe was good and tries nothing again. Customers browse, view, fill carts and check out " +
    "over kept connections at a constant rate; every single request is counted, and one that failed counts though the " +
    "customer sends it again. Meanwhile each process gets SIGTERM and is started again, the next only when it is ready. The " +
    "same traffic with SIGKILL instead shows that the load would have noticed.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const load = smoke ? short : real;
    say("starting the servers and eight processes");
    const shop = await startShop();
    try {
      const orderly = await restartUnderLoad(shop, load, say);
      const violations = await shop.violations(orderly.checkouts);
      for (const { rule, what } of violations.slice(0, 10)) say(`${rule}: ${what}`);
      const abrupt = await killUnderLoad(shop, load, say);
      return {
        claims: [
          ...claimsOf(orderly, load),
          none("rules of the shop's books that are broken after it (nothing lost, nothing doubled)", violations.length),
          {
            claim: "the same traffic notices SIGKILL instead",
            seen: `${abrupt.census.failed} of ${abrupt.census.sent} failed with ${abrupt.killed} processes killed`,
            holds: abrupt.census.failed > 0,
          },
        ],
        facts: factsOf(orderly),
      };
    } finally {
      await shop.dispose();
    }
  },
};

interface Orderly {
  readonly census: Census;
  readonly restarts: readonly Restart[];
  readonly report: TrafficReport;
  readonly checkouts: ReturnType<typeof createTraffic>["checkouts"];
}

async function restartUnderLoad(shop: Shop, load: Load, say: (text: string) => void): Promise<Orderly> {
  const census = createCensus();
  const traffic = createTraffic({ ...trafficOf(shop, load, census), seed: 1 });
  const running = traffic.run();
  const restarts: Restart[] = [];
  try {
    await underWay(census, load, running);
    for (let round = 1; round <= load.roundsMin || census.sent < load.requestsMin; round++) {
      restarts.push(...(await restartAll(shop, round, say)));
      say(`round ${round}: ${census.sent} requests, ${census.failed} failed`);
    }
  } finally {
    traffic.stop();
  }
  const report = await running;
  tellFailures(census, restarts, say);
  return { census, restarts, report, checkouts: traffic.checkouts };
}

async function killUnderLoad(shop: Shop, load: Load, say: (text: string) => void) {
  const census = createCensus();
  const traffic = createTraffic({ ...trafficOf(shop, load, census), seed: 2 });
  const running = traffic.run();
  try {
    await underWay(census, load, running);
    const killed = await killEach(shop, () => census.failed > 0);
    traffic.stop();
    await running;
    say(`with SIGKILL to ${killed}: ${census.failed} of ${census.sent} failed`);
    return { census, killed };
  } finally {
    traffic.stop();
  }
}

/** Until the customers have signed up and do what they came for. */
async function underWay(census: Census, { users }: Load, running: Promise<unknown>): Promise<void> {
  const begun = async (): Promise<void> => {
    while (census.sent < users * 2) await sleep(50);
  };
  await Promise.race([begun(), running]);
}

/** Until it is stopped: restarts take as long as they take. */
function trafficOf({ service }: Shop, { rate, users }: Load, census: Census) {
  return { url: service.url, rate, users, seconds: 3600, around: census.around };
}

function tellFailures({ failures }: Census, restarts: readonly Restart[], say: (text: string) => void): void {
  for (const { at, what } of failures.slice(0, 40)) {
    const cause = restarts.findLast((each) => each.at <= at);
    say(`failed: ${what}, ${cause ? `${ms(at - cause.at)} after SIGTERM to ${cause.member}` : "before any restart"}`);
  }
}

function claimsOf({ census, restarts, report }: Orderly, load: Load): Claim[] {
  const exits = restarts.filter(({ exit }) => exit !== 0);
  return [
    none(`failed requests of ${census.sent.toLocaleString("en")} (5xx, 429, reset, refused, timed out)`, census.failed),
    {
      claim: `there were at least ${load.requestsMin.toLocaleString("en")} requests over ${load.roundsMin} rounds of all processes`,
      seen: `${census.sent.toLocaleString("en")}, ${restarts.length} restarts`,
      holds: census.sent >= load.requestsMin && restarts.length >= load.roundsMin * 2 * shopGroups.length,
    },
    none("answers that were wrong", sumOf(report.operations.all.wrong)),
    none("checkouts whose outcome stayed unknown", report.checkouts.unknown),
    none("stopped processes with another exit code than 0", exits.length),
  ];
}

function factsOf({ census, restarts, report }: Orderly): Shown["facts"] {
  const drains = shopGroups.map((group) => {
    const times = restarts.filter((each) => each.group === group).map(({ drainMs }) => drainMs);
    return [`longest leave of ${group}`, ms(Math.max(...times))] as const;
  });
  return {
    requests: census.sent,
    "upper bound of the failure rate (95 %)": `${((3 / census.sent) * 100).toFixed(4)} %`,
    "refusals that the shop means": census.refused,
    checkouts: report.checkouts.ok,
    restarts: restarts.length,
    "operations not sent because all customers were busy": report.operations.all.failed["not sent: line full"] ?? 0,
    "operations a second": Number(report.rateAchieved.toFixed(1)),
    "slowest answer": ms(census.slowestMs()),
    "99 of 100 operations within": ms(report.operations.all.p99Ms),
    ...Object.fromEntries(drains),
    "longest start": ms(Math.max(...restarts.map(({ startMs }) => startMs))),
  };
}
