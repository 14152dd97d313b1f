import type { Parameters } from "structured-headers";
import { serializeItem } from "structured-headers";
import type { QuotaState, Rule } from "../limits/index.ts";
import type { LimitPlan } from "../service/index.ts";

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11): lists of structured fields, an item for
 * each limit, named by a quoted string.
 *
 *     RateLimit-Policy: "principal-1m";q=100;w=60;pk=:dHJpYWwxMjEz:
 *     RateLimit: "principal-1m";r=42;t=17;pk=:dHJpYWwxMjEz:
 *
 * `r` is what may be taken now, `t` the seconds until there is more; without `t` there is nothing more to come. `pk` is the
 * partition: the same bytes for the same caller, from which nobody learns who that is.
 */
export interface HeaderItem {
  /** Never changes for a partition. */
  readonly policy: string;
  /** What stands before and after `r` and `t`. */
  readonly before: string;
  readonly after: string;
}

export function headerItem(name: string, rule: Rule, windowSeconds: number | undefined, pk: Uint8Array): HeaderItem {
  const parameters: [string, string | number | ArrayBuffer][] = [["q", rule.quota]];
  if (rule.kind === "places") parameters.push(["qu", "concurrent-requests"]);
  if (windowSeconds !== undefined) parameters.push(["w", windowSeconds]);
  if (rule.kind === "bucket") parameters.push(["plinth-burst", rule.burst]);
  const key = pk.buffer.slice(pk.byteOffset, pk.byteOffset + pk.byteLength) as ArrayBuffer;
  const named = serializeItem(name);
  const whole = serializeItem(name, new Map([["pk", key]]) as Parameters);
  return {
    policy: serializeItem(name, new Map([...parameters, ["pk", key]]) as Parameters),
    before: `${named};r=`,
    after: whole.slice(named.length),
  };
}

/** An item of `RateLimit`. */
export function stateText({ before, after }: HeaderItem, state: QuotaState): string {
  const seconds = resetSeconds(state);
  return seconds === 0 ? `${before}${state.remaining}${after}` : `${before}${state.remaining};t=${seconds}${after}`;
}

export function resetSeconds({ resetMs }: QuotaState): number {
  return Math.ceil(resetMs / 1000);
}

/** A policy as documents show it: without a partition. */
export function policyText({ name, rule, windowSeconds }: LimitPlan): string {
  const { policy, after } = headerItem(name, rule, windowSeconds, new Uint8Array());
  return policy.slice(0, policy.length - after.length);
}
