import type { Outcome } from "../history.ts";
import type { Verdict } from "./verdict.ts";
import { createVerdict, tally } from "./verdict.ts";

export interface SetAdd {
  readonly element: string;
  readonly outcome: Outcome;
  /** When it was acknowledged; needed for reads in between. */
  readonly endedAt?: number | undefined;
}

export interface SetRead {
  /** When it began. */
  readonly beganAt: number;
  readonly elements: readonly string[];
}

export interface SetOptions {
  readonly adds: readonly SetAdd[];
  /** Whole reads, in any order. The one that began last is the final one. */
  readonly reads: readonly SetRead[];
  /** How long after its acknowledgement an element may still be missing from a read. Default 0. */
  readonly staleMsMax?: number;
}

/**
 * Everything that was acknowledged is there (Jepsen's set-full). Findings: `lost`, not in the final read though it was
 * acknowledged or had been read; `stale`, missing for too long and there again. And in whichever read: `duplicated`, there
 * twice; `unexpected`, nobody added it; `phantom`, there although its add certainly failed. Elements acknowledged after the
 * final read began are never-read, and a doubt.
 */
export function checkSet({ adds, reads, staleMsMax = 0 }: SetOptions): Verdict {
  const verdict = createVerdict("set");
  const ordered = [...reads].sort((a, b) => a.beganAt - b.beganAt);
  const final = ordered.at(-1);
  const tallies = ordered.map(({ elements }) => tally(elements));
  const found = tallies.at(-1) ?? tally([]);
  // Of all reads: how often each was there at most.
  const seen = new Map<string, number>();
  for (const each of tallies)
    for (const [element, times] of each) seen.set(element, Math.max(times, seen.get(element) ?? 0));
  const contents = ordered.map(({ beganAt, elements }) => ({ beganAt, elements: new Set(elements) }));
  let neverRead = 0;
  let recovered = 0;
  for (const { element, outcome, endedAt } of adds) {
    const isThere = found.has(element);
    if (outcome === "unknown" && isThere) recovered++;
    if (outcome === "unknown" && !isThere && seen.has(element))
      verdict.find("lost", element, "it was read, and is not in the final read");
    if (outcome === "fail" && seen.has(element)) verdict.find("phantom", element, "its add failed, and it was read");
    if (outcome !== "ok") continue;
    if (!final || (endedAt !== undefined && endedAt > final.beganAt)) {
      neverRead++;
      continue;
    }
    if (!isThere) verdict.find("lost", element, "it was acknowledged, and is not in the final read");
    else if (endedAt !== undefined) {
      const missing = contents.findLast((read) => read.beganAt >= endedAt && !read.elements.has(element));
      const staleMs = missing ? missing.beganAt - endedAt : -1;
      if (staleMs > staleMsMax || (missing && staleMsMax === 0))
        verdict.find("stale", element, `it was still missing ${staleMs} ms after it was acknowledged`);
    }
  }
  const known = new Set(adds.map(({ element }) => element));
  for (const [element, times] of seen) {
    if (!known.has(element)) verdict.find("unexpected", element, "nobody added it");
    if (times > 1) verdict.find("duplicated", element, `it was there ${times} times`);
  }
  if (!final) verdict.doubt("nothing was read");
  if (neverRead > 0) verdict.doubt(`${neverRead} acknowledged elements were never read`);
  if (!adds.some(({ outcome }) => outcome === "ok")) verdict.doubt("nothing was acknowledged");
  verdict.count("acknowledged", adds.filter(({ outcome }) => outcome === "ok").length);
  verdict.count("unknown", adds.filter(({ outcome }) => outcome === "unknown").length);
  verdict.count("recovered", recovered);
  verdict.count("neverRead", neverRead);
  return verdict.end();
}
