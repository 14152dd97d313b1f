import { hash } from "node:crypto";
import type { Random } from "../../base/index.ts";
import type { Metrics } from "../../telemetry/index.ts";
import type { Exchange } from "../exchange.ts";

/**
 * Which of several variants a request goes to: those that a rule names first (a header or a cookie with a value), the
 * others by weight. With `sticky`, what has the same key goes the same way as long as the weights stay; when they change,
 * no more move than must (rendezvous hashing).
 *
 * A variant with weight 0 gets only what a rule sends there. A split is one object for the life of the process; what it
 * does is put in its place whole, so a request sees the old plan or the new one and never a mixture.
 */
export interface SplitOptions {
  /** Names of upstreams, or of services that answer the same routes. */
  readonly between: readonly string[];
  /** Shares: `{ stable: 95, canary: 5 }`. Those left out have none. */
  readonly weights: Readonly<Record<string, number>>;
  /** The first that fits decides. */
  readonly match?: readonly SplitRule[];
  /** What decides in place of the dice: the caller, a cookie or a header. Requests without it are diced. */
  readonly sticky?: StickyKey;
}

export type StickyKey = "principal" | { readonly cookie: string } | { readonly header: string };

export interface SplitRule {
  /** One of the two. Name in any case. */
  readonly header?: string;
  readonly cookie?: string;
  /** Exactly this value. Default: any. */
  readonly value?: string;
  readonly to: string;
}

/** What may change while the process runs. */
export interface SplitPlan {
  readonly weights: Readonly<Record<string, number>>;
  readonly match?: readonly SplitRule[] | undefined;
}

export interface Split {
  readonly name: string;
  readonly variants: readonly string[];
  readonly plan: SplitPlan;
  /** The place of the variant in `variants`. */
  choose(exchange: Exchange): number;
  /** Puts another plan in place, from the next request on. It has been checked. */
  replace(plan: SplitPlan): void;
}

/** `options` have been checked (`checkSplit`). */
export function createSplit(name: string, options: SplitOptions, random: Random, metrics?: Metrics): Split {
  const variants = options.between;
  const counted = metrics?.counter(
    "plinth_gateway_split_requests_total",
    "Requests that were shared out, by where to.",
    ["split", "variant"],
  );
  const counters = variants.map((variant) => counted?.with({ split: name, variant }));
  const keyOf = compileKey(options.sticky);
  let plan: SplitPlan = options;
  let decide = compilePlan(name, variants, plan, keyOf, random);
  return {
    name,
    variants,
    get plan() {
      return plan;
    },
    choose(exchange) {
      const place = decide(exchange);
      counters[place]?.add();
      return place;
    },
    replace(next) {
      plan = next;
      decide = compilePlan(name, variants, next, keyOf, random);
    },
  };
}

/** All of a record, by name. */
export function createSplits(
  declared: Readonly<Record<string, SplitOptions>>,
  random: Random,
  metrics: Metrics | undefined,
): ReadonlyMap<string, Split> {
  return new Map(Object.entries(declared).map(([name, each]) => [name, createSplit(name, each, random, metrics)]));
}

/** Adds what is wrong to `problems`, each with its place under `where`. */
export function checkSplit(where: string, variants: readonly string[], plan: SplitPlan, problems: string[]): void {
  const entries = Object.entries(plan.weights ?? {});
  let sum = 0;
  for (const [variant, weight] of entries) {
    if (!variants.includes(variant)) {
      problems.push(`${where}.weights.${variant}: there is no such variant; there are ${variants.join(", ")}.`);
    }
    if (typeof weight !== "number" || !(weight >= 0 && weight <= 1_000_000)) {
      problems.push(
        `${where}.weights.${variant}: ${JSON.stringify(weight)} is no share; write a number from 0 to 1000000.`,
      );
    } else sum += weight;
  }
  if (!(sum > 0)) problems.push(`${where}.weights: one at least must be above 0.`);
  for (const [i, rule] of (plan.match ?? []).entries()) {
    const at = `${where}.match[${i}]`;
    if (!variants.includes(rule.to)) problems.push(`${at}.to: there is no variant ${JSON.stringify(rule.to)}.`);
    if ((rule.header === undefined) === (rule.cookie === undefined))
      problems.push(`${at}: write one of header and cookie.`);
    for (const name of [rule.header, rule.cookie]) {
      if (name !== undefined && !isName(name)) problems.push(`${at}: ${JSON.stringify(name)} is no name.`);
    }
    // A rule by a credential would make a secret a part of the configuration.
    if (rule.header !== undefined && /^(?:authorization|cookie)$/i.test(rule.header)) {
      problems.push(`${at}.header: "${rule.header}" is no header to match; for a cookie write cookie.`);
    }
  }
}

export function isName(name: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(name);
}

type Choose = (exchange: Exchange) => number;

function compilePlan(
  name: string,
  variants: readonly string[],
  { weights, match = [] }: SplitPlan,
  keyOf: ((exchange: Exchange) => string | undefined) | undefined,
  random: Random,
): Choose {
  const shares = variants.map((variant) => weights[variant] ?? 0);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const rules = match.map((rule) => ({ fits: compileRule(rule), place: variants.indexOf(rule.to) }));
  const alone = shares.filter((share) => share > 0).length === 1 ? shares.findIndex((share) => share > 0) : -1;
  const dice = (): number => {
    let left = random.next() * total;
    for (let i = 0; i < shares.length; i++) {
      left -= shares[i] as number;
      if (left < 0) return i;
    }
    return shares.findLastIndex((share) => share > 0);
  };
  return (exchange) => {
    for (const { fits, place } of rules) if (fits(exchange)) return place;
    if (alone >= 0) return alone;
    const key = keyOf?.(exchange);
    return key === undefined ? dice() : rendezvous(name, key, variants, shares);
  };
}

/** The variant with the highest score: -weight / ln(hash), by which a changed weight moves only what must move. */
function rendezvous(name: string, key: string, variants: readonly string[], shares: readonly number[]): number {
  let best = 0;
  let bestScore = -1;
  for (let i = 0; i < variants.length; i++) {
    const share = shares[i] as number;
    if (share === 0) continue;
    const digest = hash("sha1", `${name}\0${variants[i]}\0${key}`, "hex");
    const score = share / -Math.log((Number.parseInt(digest.slice(0, 12), 16) + 1) / (2 ** 48 + 1));
    if (score > bestScore) {
      best = i;
      bestScore = score;
    }
  }
  return best;
}

function compileRule({ header, cookie, value }: SplitRule): (exchange: Exchange) => boolean {
  const read = header === undefined ? cookieReader(cookie ?? "") : headerReader(header);
  return (exchange) => {
    const found = read(exchange);
    return found !== undefined && (value === undefined || found === value);
  };
}

/** Undefined where nothing is declared. */
export function compileKey(sticky: StickyKey | undefined): ((exchange: Exchange) => string | undefined) | undefined {
  if (sticky === undefined) return undefined;
  if (sticky === "principal")
    return ({ principal }) => (principal.kind === "anonymous" ? undefined : principal.subject);
  return "cookie" in sticky ? cookieReader(sticky.cookie) : headerReader(sticky.header);
}

function headerReader(header: string): (exchange: Exchange) => string | undefined {
  const name = header.toLowerCase();
  return ({ headers }) => {
    const value = headers[name];
    return typeof value === "string" ? value : value?.[0];
  };
}

function cookieReader(cookie: string): (exchange: Exchange) => string | undefined {
  return ({ headers }) => cookieOf(headers.cookie, cookie);
}

/** The first cookie of a name. Names are told apart by case (RFC 6265). */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const part of header.split(";")) {
    const equals = part.indexOf("=");
    if (equals !== -1 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}
