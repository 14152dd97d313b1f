import type { Outcome } from "../history.ts";
import type { Verdict } from "./verdict.ts";
import { createVerdict, tally } from "./verdict.ts";

export interface IdempotencyOptions {
  /** Every call, repeats included. `body` and `answer` are texts or hashes of them; an answer belongs to an ok call. */
  readonly calls: readonly {
    readonly key: string;
    readonly body: string;
    readonly outcome: Outcome;
    readonly answer?: string | undefined;
  }[];
  /** The keys whose effect is in the books, as often as it is. */
  readonly effects: readonly string[];
}

/**
 * One effect for each key, and the same answer each time. Findings: `doubled`; `lost`, answered and without effect;
 * `other-answer`; `reused`, answered for two bodies; `phantom`, every call failed and there is an effect; `unexpected`.
 * `answered` counts the keys that were repeated and got an answer: without one nothing was shown.
 */
export function checkIdempotency({ calls, effects }: IdempotencyOptions): Verdict {
  const verdict = createVerdict("idempotency");
  const found = tally(effects);
  const keys = new Map<string, IdempotencyOptions["calls"][number][]>();
  for (const call of calls) keys.set(call.key, [...(keys.get(call.key) ?? []), call]);
  let repeats = 0;
  let answered = 0;
  for (const [key, own] of keys) {
    const ok = own.filter(({ outcome }) => outcome === "ok");
    repeats += own.length - 1;
    if (ok.length > 0 && own.length > 1) answered++;
    const times = found.get(key) ?? 0;
    if (times > 1) verdict.find("doubled", key, `it took effect ${times} times`);
    if (times === 0 && ok.length > 0) verdict.find("lost", key, "it was answered, and has no effect");
    if (times > 0 && own.every(({ outcome }) => outcome === "fail")) verdict.find("phantom", key, "every call failed");
    if (new Set(ok.map(({ body }) => body)).size > 1)
      verdict.find("reused", key, "it was answered for other bodies too");
    else if (new Set(ok.map(({ answer }) => answer)).size > 1)
      verdict.find("other-answer", key, "repeats were answered differently");
  }
  for (const key of found.keys()) if (!keys.has(key)) verdict.find("unexpected", key, "nobody asked for it");
  verdict.count("keys", keys.size);
  verdict.count("repeats", repeats);
  verdict.count("answered", answered);
  if (repeats === 0) verdict.doubt("nothing was repeated");
  else if (answered === 0) verdict.doubt("nothing that was repeated was answered");
  return verdict.end();
}
