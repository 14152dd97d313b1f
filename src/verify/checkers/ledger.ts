import type { Outcome } from "../history.ts";
import type { Verdict } from "./verdict.ts";
import { createVerdict, tally } from "./verdict.ts";

export interface LedgerOptions {
  /** What was asked for, and what the caller was told. */
  readonly orders: readonly { readonly id: string; readonly outcome: Outcome }[];
  /** By name, the ids of the orders whose effects are in the books, as often as they are: `{ placed, charged, mailed }`. */
  readonly effects: Readonly<Record<string, readonly string[]>>;
  /** What was still on its way when the books were read, and for how long. */
  readonly underWay?: readonly { readonly id: string; readonly ageMs: number }[];
  /** Longer is stuck. Default 30,000. */
  readonly stuckMsMax?: number;
}

/**
 * Every acknowledged order has each of its effects once; one of unknown outcome has all of them once, or none; one that
 * failed has none. Findings: `lost`, `doubled`, `half`, `phantom`, `unexpected`, `stuck`. What is under way and not stuck
 * is a doubt: read the books again.
 */
export function checkLedger({ orders, effects, underWay = [], stuckMsMax = 30_000 }: LedgerOptions): Verdict {
  const verdict = createVerdict("ledger");
  const names = Object.keys(effects);
  const books = names.map((name) => ({ name, entries: tally(effects[name] ?? []) }));
  const open = new Map(underWay.map(({ id, ageMs }) => [id, ageMs]));
  for (const { id, outcome } of orders) {
    const missing = books.filter(({ entries }) => !entries.has(id)).map(({ name }) => name);
    const isAbsent = missing.length === books.length;
    if (outcome === "fail" && !isAbsent) verdict.find("phantom", id, "it failed, and has effects");
    if (outcome === "fail" || missing.length === 0 || open.has(id)) continue;
    if (outcome === "ok") verdict.find("lost", id, `it was acknowledged, and is not ${missing.join(", ")}`);
    else if (!isAbsent)
      verdict.find("half", id, `its outcome was unknown, and it is not ${missing.join(", ")} although it is the rest`);
  }
  const known = new Set(orders.map(({ id }) => id));
  for (const { name, entries } of books) {
    for (const [id, times] of entries) {
      if (!known.has(id)) verdict.find("unexpected", id, `it is ${name}, and nobody asked for it`);
      if (times > 1) verdict.find("doubled", id, `it is ${name} ${times} times`);
    }
  }
  for (const [id, ageMs] of open) {
    if (ageMs > stuckMsMax) verdict.find("stuck", id, `it is under way since ${ageMs} ms`);
    else verdict.doubt("something is still under way");
  }
  for (const outcome of ["ok", "fail", "unknown"] as const)
    verdict.count(outcome, orders.filter((order) => order.outcome === outcome).length);
  if (!orders.some(({ outcome }) => outcome === "ok")) verdict.doubt("nothing was acknowledged");
  if (names.length === 0) verdict.doubt("no effects were read");
  return verdict.end();
}
