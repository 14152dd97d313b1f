/**
 * How much a call matters when not all can be served (Google SRE, "Handling Overload"): what is sheddable goes first, what
 * is `critical_plus` last. A call has the criticality of the request that it serves, in the process and over RPC.
 *
 * - `critical_plus`: users are hurt at once when it fails. Keep it a small share of what a process can serve.
 * - `critical`: the default.
 * - `sheddable_plus`: can wait for minutes; work that is retried later.
 * - `sheddable`: nobody minds when it fails for a while.
 */
export type Criticality = "critical_plus" | "critical" | "sheddable_plus" | "sheddable";

/** As a number: a greater one matters more. */
export type Level = number;

/** By level. */
export const criticalities: readonly Criticality[] = ["sheddable", "sheddable_plus", "critical", "critical_plus"];

export function isCriticality(value: unknown): value is Criticality {
  return criticalities.includes(value as Criticality);
}

export function levelOf(criticality: Criticality = "critical"): Level {
  return criticalities.indexOf(criticality);
}

/** A level as another process told it. What this build does not know counts as critical. */
export function toLevel(told: number): Level {
  return told >= 0 && told < criticalities.length ? told : levelOf();
}
