import { setTimeout as sleep } from "node:timers/promises";
import type { RedisServer } from "../../src/engines/redis/redis-server.fixture.ts";
import type { Claim } from "../proof.ts";
import { none } from "../proof.ts";
import { outage } from "./quotas.ts";
import type { Answered } from "./traffic.ts";
import { isAllowed, quantile, startTraffic } from "./traffic.ts";

export type WhenDown = "local" | "allow" | "refuse";

export interface OutageTimes {
  readonly beforeS: number;
  readonly pausedS: number;
  readonly downS: number;
  readonly backS: number;
}

/** How long the processes may take to find the store again: its connection's longest pause, and the limiter's. */
const recoverS = 4;
/** Until all processes have noticed. */
const noticeS = 0.5;
const p99MsMax = 150;

export interface Outage {
  readonly claims: readonly Claim[];
  readonly facts: Readonly<Record<string, number | string>>;
}

/** The store answers, hangs, is killed and comes back, while more is asked than is allowed. */
export async function showOutage(
  whenDown: WhenDown,
  {
    urls,
    redis,
    times,
  }: { readonly urls: readonly string[]; readonly redis: RedisServer; readonly times: OutageTimes },
): Promise<Outage> {
  const traffic = startTraffic({ urls, path: "/outage", address: "203.0.113.9", connections: 2, pauseMs: 12 });
  await sleep(times.beforeS * 1000);
  const pausedAt = performance.now();
  await redis.command("CLIENT", "PAUSE", String(times.pausedS * 1000), "ALL");
  await sleep(times.pausedS * 1000);
  const killedAt = performance.now();
  await redis.kill();
  await sleep(times.downS * 1000);
  const startedAt = performance.now();
  await redis.start();
  await sleep(times.backS * 1000);
  await traffic.stop();
  const endedAt = performance.now();
  const between = (from: number, to: number): Answered[] => traffic.answers.filter(({ at }) => at >= from && at < to);
  const down = between(killedAt + noticeS * 1000, startedAt);
  const paused = between(pausedAt + noticeS * 1000, killedAt);
  const recovered = between(startedAt + recoverS * 1000, endedAt);
  const recoveredS = (endedAt - startedAt) / 1000 - recoverS;
  return {
    claims: [
      ...behaviour(whenDown, down, times.downS - noticeS, "killed"),
      ...behaviour(whenDown, paused, times.pausedS - noticeS, "hangs"),
      none(
        `${whenDown}: other 5xx, and requests without an answer, from the first moment to the last`,
        traffic.answers.filter((each) => !isExpected(whenDown, each)).length,
      ),
      countsTogether(whenDown, recovered, recoveredS),
      isQuick(whenDown, between(pausedAt, startedAt)),
    ],
    facts: {
      [`${whenDown}: requests`]: traffic.answers.length,
      [`${whenDown}: slowest answer, ms`]: Math.round(Math.max(...traffic.answers.map(({ ms }) => ms))),
      [`${whenDown}: p99 ms before`]: Math.round(
        quantile(
          between(0, pausedAt).map(({ ms }) => ms),
          0.99,
        ),
      ),
      [`${whenDown}: p99 ms without the store`]: Math.round(
        quantile(
          [...paused, ...down].map(({ ms }) => ms),
          0.99,
        ),
      ),
    },
  };
}

function isExpected(whenDown: WhenDown, answer: Answered): boolean {
  return isAllowed(answer) || answer.status === 429 || (whenDown === "refuse" && answer.status === 503);
}

function behaviour(whenDown: WhenDown, answers: readonly Answered[], seconds: number, how: string): Claim[] {
  const allowed = answers.filter(isAllowed).length;
  const seen = `${allowed} of ${answers.length} allowed in ${seconds.toFixed(1)} s`;
  if (whenDown === "allow") {
    return [
      {
        claim: `allow: while Redis ${is(how)}, everything passes`,
        seen,
        holds: allowed === answers.length && allowed > 0,
      },
    ];
  }
  if (whenDown === "refuse") {
    const refused = answers.filter(({ status, retryAfter }) => status === 503 && retryAfter !== undefined).length;
    return [
      {
        claim: `refuse: while Redis ${is(how)}, everything is 503 with Retry-After`,
        seen: `${refused} of ${answers.length}`,
        holds: refused === answers.length && refused > 0,
      },
    ];
  }
  // A window may begin and one may end within.
  const most = outage.perSecond * (seconds + 1);
  const least = outage.perSecond * (seconds - 1);
  return [
    {
      claim: `local: while Redis ${is(how)}, all processes together allow about the limit (${outage.perSecond} in a second)`,
      seen,
      holds: allowed <= most * 1.01 && allowed >= least * 0.9,
    },
  ];
}

function is(how: string): string {
  return how === "killed" ? "is killed" : how;
}

function countsTogether(whenDown: WhenDown, answers: readonly Answered[], seconds: number): Claim {
  const allowed = answers.filter(isAllowed).length;
  return {
    claim: `${whenDown}: ${recoverS} s after Redis is back, the processes count together again`,
    seen: `${allowed} of ${answers.length} allowed in ${seconds.toFixed(1)} s, the limit is ${outage.perSecond} in a second`,
    holds: allowed <= outage.perSecond * (seconds + 1) * 1.01 && allowed >= outage.perSecond * (seconds - 1) * 0.95,
  };
}

function isQuick(whenDown: WhenDown, answers: readonly Answered[]): Claim {
  const p99 = quantile(
    answers.map(({ ms }) => ms),
    0.99,
  );
  return {
    claim: `${whenDown}: without the store, 99 % are answered within ${p99MsMax} ms (it is waited for 50 ms)`,
    seen: `${p99.toFixed(1)} ms`,
    holds: p99 <= p99MsMax,
  };
}
