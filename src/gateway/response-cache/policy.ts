import CachePolicy from "http-cache-semantics";
import type { Clock } from "../../base/index.ts";

/** A request or an answer as the rules of RFC 9111 look at it. */
export interface PolicyRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
}

export interface PolicyAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
}

export type PolicyMaker = (request: PolicyRequest, answer: PolicyAnswer) => CachePolicy;

/** The rules of a shared cache, by this process's clock. Nothing is kept by guessing: an answer says how long, or is asked for again. */
export function createPolicies(clock: Clock): PolicyMaker {
  class ClockedPolicy extends CachePolicy {
    now(): number {
      return clock.wallNow();
    }
  }
  return (request, answer) =>
    new ClockedPolicy({ ...request, headers: deciding(request, answer) }, answer, {
      shared: true,
      cacheHeuristic: 0,
      ignoreCargoCult: false,
    });
}

/**
 * Of a request's headers those that decide to whom an answer may be given: that is all of it that is kept in memory. A
 * client could make it large.
 */
function deciding({ headers }: PolicyRequest, answer: PolicyAnswer): Record<string, string> {
  const kept: Record<string, string> = {};
  if (headers.authorization !== undefined) kept.authorization = "given";
  if (/(?:^|[\s,])no-store\b/i.test(headers["cache-control"] ?? "")) kept["cache-control"] = "no-store";
  for (const name of (answer.headers.vary ?? "").toLowerCase().split(/[\s,]+/)) {
    const value = headers[name];
    if (typeof value === "string") kept[name] = value;
  }
  return kept;
}

/** Flat names and values by name; what comes more than once is one list (RFC 9110, 5.3). */
export function byName(pairs: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    const known = headers[name];
    headers[name] = known === undefined ? (pairs[i + 1] as string) : `${known}, ${pairs[i + 1]}`;
  }
  return headers;
}

/** Whether the origin allows an old answer at all when a new one cannot be had. */
export function mayBeStale(headers: Readonly<Record<string, string | undefined>>): boolean {
  return !/(?:^|[\s,])(?:must-revalidate|proxy-revalidate|no-cache|s-maxage|private)\b/i.test(
    headers["cache-control"] ?? "",
  );
}
