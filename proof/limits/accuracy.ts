import { setTimeout as sleep } from "node:timers/promises";
import type { Claim } from "../proof.ts";
import { none } from "../proof.ts";
import { bucket, places, processes, sliding } from "./quotas.ts";
import type { Answered, Traffic } from "./traffic.ts";
import { isAllowed, startTraffic } from "./traffic.ts";

/** How far a count may be from what is declared. */
const errorMax = 0.01;
/** Several times the limit, and no more than the machine can take. */
const pauseMs = 5;
const warmUpMs = 1000;

export interface Accuracy {
  readonly claims: readonly Claim[];
  readonly facts: Readonly<Record<string, number | string>>;
}

/** More load than is allowed, on all gateways at once, by several clients and under several rules. */
export async function showAccuracy(urls: readonly string[], windows: number): Promise<Accuracy> {
  const seconds = sliding.windowSeconds * (windows - 0.5);
  const warming = startTraffic({ urls, path: "/both", address: "203.0.113.99", pauseMs });
  await sleep(warmUpMs);
  await warming.stop();
  const first = startTraffic({ urls, path: "/sliding", address: "203.0.113.1", pauseMs });
  const second = startTraffic({ urls, path: "/sliding", address: "203.0.113.2", pauseMs });
  const both = startTraffic({ urls, path: "/both", address: "203.0.113.3", pauseMs });
  const flow = startTraffic({ urls, path: "/bucket", address: "203.0.113.4", pauseMs });
  const held = startTraffic({ urls, path: "/places", address: "203.0.113.5", connections: 5, pauseMs: 10 });
  const all = [first, second, both, flow, held];
  await sleep(seconds * 1000);
  await Promise.all(all.map((traffic) => traffic.stop()));
  const wanted = sliding.quota * windows;
  const longWanted = Math.min(sliding.longQuota, wanted);
  const flowed = flow.answers.filter(isAllowed);
  const flowSeconds = ((flow.answers.at(-1) as Answered).at - (flowed[0] as Answered).at) / 1000;
  const flowWanted = Math.round(bucket.burst + bucket.perSecond * flowSeconds);
  const overlap = mostAtOnce(held.answers);
  const sent = all.reduce((sum, { answers }) => sum + answers.length, 0);
  return {
    claims: [
      near(
        `${sliding.quota} in ${sliding.windowSeconds} s for one client, over ${windows} windows`,
        countOf(first),
        wanted,
      ),
      near("the same for another client at the same time", countOf(second), wanted),
      {
        claim: `two windows at once: ${sliding.longQuota} in an hour ends what ${sliding.quota} in ${sliding.windowSeconds} s would allow`,
        seen: `${countOf(both)} of ${longWanted}`,
        holds: countOf(both) === longWanted,
      },
      near(`a bucket of ${bucket.burst}, filled by ${bucket.perSecond} in a second`, flowed.length, flowWanted),
      {
        claim: `never more than ${places.count} at the same time in all processes together, and that often`,
        seen: `${overlap} at most, ${countOf(held)} in all`,
        holds: overlap === places.count && countOf(held) > places.count * 4,
      },
      {
        claim: "every answer is either what was asked for or 429",
        seen: tally(all.flatMap(({ answers }) => answers)),
        holds: all.flatMap(({ answers }) => answers).every((each) => isAllowed(each) || each.status === 429),
      },
      none(
        "refusals without Retry-After",
        all.flatMap(({ answers }) => answers).filter((each) => each.status === 429 && !each.retryAfter).length,
      ),
    ],
    facts: { processes, requests: sent, "requests in a second": Math.round(sent / seconds), seconds },
  };
}

/** What comes of the same load when each process counts alone: the check that must fail. */
export async function countAlone(urls: readonly string[], windows: number): Promise<Claim> {
  const traffic = startTraffic({ urls, path: "/sliding", address: "203.0.113.1" });
  await sleep(sliding.windowSeconds * (windows - 0.5) * 1000);
  await traffic.stop();
  const wanted = sliding.quota * windows;
  const count = countOf(traffic);
  return {
    claim: "without a store that they share, the processes allow several times the limit (control)",
    seen: `${count} instead of ${wanted}`,
    holds: count > wanted * 2,
  };
}

/** "204: 512, 429: 3,204". */
function tally(answers: readonly Answered[]): string {
  const counts = new Map<number, number>();
  for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${status}: ${count}`).join(", ");
}

function countOf({ answers }: Traffic): number {
  return answers.filter(isAllowed).length;
}

function near(what: string, count: number, wanted: number): Claim {
  const error = (count - wanted) / wanted;
  return {
    claim: `within 1 % of the limit: ${what}`,
    seen: `${count} of ${wanted} (${error >= 0 ? "+" : ""}${(error * 100).toFixed(2)} %)`,
    holds: Math.abs(error) <= errorMax,
  };
}

/** How many handlers ran at one moment, by their own clock, which is the machine's. */
function mostAtOnce(answers: readonly Answered[]): number {
  const spans = answers.filter(isAllowed).map(({ body }) => JSON.parse(body) as { beganAt: number; endedAt: number });
  // Of two in one millisecond, who leaves left first.
  const events = spans
    .flatMap(({ beganAt, endedAt }) => [
      { at: beganAt, by: 1 },
      { at: endedAt, by: -1 },
    ])
    .sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  let most = 0;
  for (const { by } of events) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}
