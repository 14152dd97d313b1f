import type { BareItem } from "structured-headers";
import { serializeItem, serializeParameters } from "structured-headers";
import type { QuotaState, Rule } from "../../limits/index.ts";
import { digitsOf } from "./digits.ts";

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11): lists of structured fields, an item for
 * each limit, named by a quoted string.
 *
 *     RateLimit-Policy: "principal-1m";q=100;w=60;pk=:dHJpYWwxMjEz:
 *     RateLimit: "principal-1m";r=42;t=17;pk=:dHJpYWwxMjEz:
 *
 * `r` is what may be taken now, `t` the seconds until there is more; without `t` there is nothing more to come, or nobody
 * knows when. `pk` is the partition: the same bytes for the same caller, from which nobody learns who that is. All but the
 * numbers is written once.
 */
export function policyText(name: string, rule: Rule, windowSeconds: number | undefined): string {
  const parameters = new Map<string, BareItem>([["q", rule.quota]]);
  if (rule.kind === "places") parameters.set("qu", "concurrent-requests");
  if (windowSeconds !== undefined) parameters.set("w", windowSeconds);
  if (rule.kind === "bucket") parameters.set("plinth-burst", rule.burst);
  return serializeItem(name, parameters);
}

/** What stands before the number that is left. */
export function stateBeginning(name: string): string {
  return `${serializeItem(name, new Map())};r=`;
}

/** `;pk=:…:`, the last parameter of both. */
export function partitionText(pk: Uint8Array): string {
  const bytes = pk.buffer.slice(pk.byteOffset, pk.byteOffset + pk.byteLength) as ArrayBuffer;
  return serializeParameters(new Map([["pk", bytes]]));
}

/** An item of `RateLimit`. */
export function stateText(beginning: string, state: QuotaState, partition: string): string {
  const seconds = resetSeconds(state);
  const text = beginning + digitsOf(state.remaining);
  return seconds === 0 ? text + partition : `${text};t=${seconds}${partition}`;
}

export function resetSeconds({ resetMs }: QuotaState): number {
  return Math.ceil(resetMs / 1000);
}
