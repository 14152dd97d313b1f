import { StartError } from "../../base/index.ts";

/**
 * A fault that knows what is said on the line. Plain data, so that a proxy in another process can have it too.
 *
 * | action | the request | its reply |
 * |---|---|---|
 * | `cut-request` | never sent; both sides are reset | – |
 * | `cut-reply` | sent and carried out | never arrives; both sides are reset once it was there |
 * | `lose-reply` | sent and carried out | neither it nor anything after it arrives; the connection stays open |
 * | `drop-reply` | sent and carried out | it alone is missing (only "rpc", whose replies have numbers) |
 * | `delay-request`, `delay-reply` | so much later, and what follows on that connection behind it | |
 * | `duplicate` | sent twice, as a proxy that retries does; one reply arrives (only "http") | |
 */
export interface FaultRule {
  /** How hits name it. */
  readonly name: string;
  /** A regular expression over what is asked: the SQL text, the Redis command with its key, `POST /orders`, `call 3`. */
  readonly match: string;
  readonly action: FaultAction;
  /** From the so manieth that matches on, over all connections. Default 1, the first. */
  readonly nth?: number;
  /** For so many of them. Default 1. */
  readonly times?: number;
  /** For the two delays: 1 to 600,000. */
  readonly delayMs?: number;
}

export type FaultAction =
  | "cut-request"
  | "cut-reply"
  | "lose-reply"
  | "drop-reply"
  | "delay-request"
  | "delay-reply"
  | "duplicate";

/** A time that a rule took effect. */
export interface FaultHit {
  readonly rule: string;
  readonly action: FaultAction;
  /** What was asked, at most 200 characters. */
  readonly asked: string;
  /** What the target answered, where that was seen: `COMMIT`, `ERROR 40001`, `200`, `+OK`. */
  readonly answer: string | undefined;
}

/** Hits kept; beyond them the oldest go. */
export const hitsMax = 10_000;

export type LineProtocol = "postgres" | "redis" | "http" | "rpc";

const actions: Readonly<Record<FaultAction, readonly LineProtocol[]>> = {
  "cut-request": ["postgres", "redis", "http", "rpc"],
  "cut-reply": ["postgres", "redis", "http", "rpc"],
  "lose-reply": ["postgres", "redis", "http", "rpc"],
  "drop-reply": ["rpc"],
  "delay-request": ["postgres", "redis", "http", "rpc"],
  "delay-reply": ["postgres", "redis", "http", "rpc"],
  duplicate: ["http"],
};

/** What a rule decided about one request. */
export interface Verdict {
  readonly action: FaultAction;
  readonly delayMs: number;
  /** To be told once the answer is known, or at once for what has none. */
  hit(answer?: string): void;
}

/** The rules of a proxy, and what they hit. */
export interface RuleBook {
  /** Throws StartError FAULT_INVALID for a rule that this protocol cannot have. */
  add(rule: FaultRule): void;
  clear(): void;
  judge(asked: string): Verdict | undefined;
  readonly hits: readonly FaultHit[];
}

export function createRuleBook(protocol: LineProtocol | undefined): RuleBook {
  const rules: { readonly rule: FaultRule; readonly pattern: RegExp; seen: number }[] = [];
  const hits: FaultHit[] = [];
  return {
    hits,
    add(rule) {
      rules.push({ rule, pattern: patternOf(rule, protocol), seen: 0 });
    },
    clear() {
      rules.length = 0;
    },
    judge(asked) {
      let verdict: Verdict | undefined;
      for (const entry of rules) {
        const { name, action, nth = 1, times = 1, delayMs = 0 } = entry.rule;
        if (!entry.pattern.test(asked)) continue;
        entry.seen++;
        if (verdict || entry.seen < nth || entry.seen >= nth + times) continue;
        verdict = {
          action,
          delayMs,
          hit(answer) {
            hits.push({ rule: name, action, asked: asked.slice(0, 200), answer });
            if (hits.length > hitsMax) hits.shift();
          },
        };
      }
      return verdict;
    },
  };
}

function patternOf(rule: FaultRule, protocol: LineProtocol | undefined): RegExp {
  const { name, action, nth = 1, times = 1, delayMs } = rule;
  const problems: string[] = [];
  const served = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (!protocol) problems.push(`rule ${name}: the proxy reads no protocol; create it with "protocol"`);
  else if (!served?.includes(protocol)) problems.push(`rule ${name}: ${protocol} has no ${action}`);
  if (!(Number.isInteger(nth) && nth >= 1)) problems.push(`rule ${name}: nth must be a whole number from 1`);
  if (!(Number.isInteger(times) && times >= 1)) problems.push(`rule ${name}: times must be a whole number from 1`);
  const delays = action === "delay-request" || action === "delay-reply";
  const fits = delayMs !== undefined && delayMs >= 1 && delayMs <= 600_000;
  if (delays !== (delayMs !== undefined) || (delays && !fits))
    problems.push(`rule ${name}: delayMs, 1 to 600000, belongs to a delay and to nothing else`);
  let pattern = /(?:)/;
  try {
    pattern = new RegExp(rule.match, "i");
  } catch {
    problems.push(`rule ${name}: match is no regular expression`);
  }
  if (problems.length > 0) throw new StartError("FAULT_INVALID", problems);
  return pattern;
}
