import type { Member } from "./member.ts";

/** When a member is left out because of what became of requests, and for how long. Defaults as Envoy's, where it has them. */
export interface OutlierRules {
  /** Failures in a row. 5. */
  readonly consecutiveFailures: number;
  /** The part of its calls that failed between two looks, when of the others' less than half of that part did. 0.2. */
  readonly failureRatio: number;
  /** ... of at least so many calls. 20. */
  readonly callsMin: number;
  /** Between two looks. 10 s. */
  readonly intervalMs: number;
  /** The first time; the n-th time n times as long. 30 s. */
  readonly ejectionMs: number;
  /** 5 min. */
  readonly ejectionMaxMs: number;
  /** The part of all members that may be ejected at once, but at least one. 0.1. */
  readonly ejectedMax: number;
  /** Ejections are ignored while fewer than this part of all members is available. 0.5. */
  readonly panic: number;
}

export const defaultOutlierRules: OutlierRules = {
  consecutiveFailures: 5,
  failureRatio: 0.2,
  callsMin: 20,
  intervalMs: 10_000,
  ejectionMs: 30_000,
  ejectionMaxMs: 300_000,
  ejectedMax: 0.1,
  panic: 0.5,
};

export type EjectionReason = "consecutive_failures" | "failure_ratio";

/** Counts what became of calls, and says whether the member is to be ejected for this one. */
export function countOutcome(member: Member, isFailure: boolean, rules: OutlierRules): boolean {
  member.callCount++;
  if (!isFailure) {
    member.consecutiveFailures = 0;
    return false;
  }
  member.failureCount++;
  member.consecutiveFailures++;
  return member.consecutiveFailures >= rules.consecutiveFailures;
}

/** Those that failed much more often than the others since the last look. When all fail alike, nobody is an outlier. */
export function findOutliers<M extends Member>(members: readonly M[], rules: OutlierRules): M[] {
  let calls = 0;
  let failures = 0;
  for (const each of members) {
    calls += each.callCount;
    failures += each.failureCount;
  }
  return members.filter((each) => {
    if (each.callCount < rules.callsMin || each.ejectedUntilMs !== undefined) return false;
    const ratio = each.failureCount / each.callCount;
    const othersCalls = calls - each.callCount;
    if (ratio < rules.failureRatio || othersCalls === 0) return false;
    return (failures - each.failureCount) / othersCalls < ratio / 2;
  });
}

/** Whether one more may be ejected. */
export function mayEject(members: readonly Member[], rules: OutlierRules): boolean {
  const ejected = members.filter((each) => each.ejectedUntilMs !== undefined).length;
  return members.length > 1 && ejected < Math.max(1, Math.floor(rules.ejectedMax * members.length));
}

/** How long, the how often it was considered. */
export function eject(member: Member, nowMs: number, rules: OutlierRules): number {
  member.ejectionCount++;
  const durationMs = Math.min(rules.ejectionMs * member.ejectionCount, rules.ejectionMaxMs);
  member.ejectedUntilMs = nowMs + durationMs;
  return durationMs;
}

/** Back among the others; the first failure sends it away again. */
export function takeBack(member: Member, rules: OutlierRules): void {
  member.ejectedUntilMs = undefined;
  member.consecutiveFailures = rules.consecutiveFailures - 1;
  member.callCount = 0;
  member.failureCount = 0;
}

/** The next stretch of time begins. An ejection is forgotten for each stretch that a member got through without failures. */
export function forgetCounts(members: readonly Member[]): void {
  for (const each of members) {
    if (each.ejectedUntilMs === undefined && each.ejectionCount > 0 && each.callCount > 0 && each.failureCount === 0)
      each.ejectionCount--;
    each.callCount = 0;
    each.failureCount = 0;
  }
}
