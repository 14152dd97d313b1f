import type { Clock, Duration, Size } from "../../base/index.ts";
import { parseDuration, parseSize } from "../../base/index.ts";
import type { Metrics } from "../../telemetry/index.ts";
import type { ForwardAnswer, ForwardRequest, Upstream } from "../../upstream/index.ts";
import { cacheEmpty } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { createFetcher } from "./fetch.ts";
import { createPolicies, mayBeStale } from "./policy.ts";
import type { CacheableRequest } from "./request.ts";
import { addressOf, readCacheable } from "./request.ts";
import type { CachedAnswer, CacheStore } from "./store.ts";
import { createCacheStore } from "./store.ts";

/** Answers of an outside system, kept at the edge as they allow it. */
export interface EdgeCacheOptions {
  /** Memory of this process for the answers of this route. Default 16 MiB. */
  readonly size?: Size;
  /** Larger answers pass without being kept. Default 1 MiB. */
  readonly bodyLimit?: Size;
  /** Request headers that answers may depend on, beside Accept, Accept-Encoding and Accept-Language. No other is sent. */
  readonly vary?: readonly string[];
  /** Where an answer says nothing of it: how long an old one is given while a new one is fetched. Default: not. */
  readonly staleWhileRevalidate?: Duration;
  /** Where an answer says nothing of it: how long an old one is given when no new one can be had. Default: not. */
  readonly staleIfError?: Duration;
}

/**
 * A shared cache after RFC 9111, before one outside system.
 *
 * Promises
 * - Kept is what the answer allows, for as long as it says; nothing is guessed. An answer to somebody in particular is kept
 *   only when it says that it is for all (`public`, `s-maxage`, `must-revalidate`); one that sets a cookie never.
 * - What answers can depend on is part of what they are kept under, or is not sent: host, path, query, the headers that
 *   `Vary` names out of those that are passed. With a split, each upstream's answers are apart.
 * - An old answer is asked for again with its validators; a 304 makes it new. Conditions of clients are judged here.
 * - Of those who want the same at the same time one asks. What cannot be kept is remembered as such for 10 s, so that
 *   nobody waits for it.
 * - An unsafe request that succeeds through this route removes what is kept of its address (RFC 9111, 4.4).
 * - Every answer says what became of it: `Cache-Status` (RFC 9211) and `Age`.
 *
 * Not promised: kept parts of answers (206), answers shared between processes.
 */
export interface EdgeCache {
  /** Answers from what is kept, or asks for it. Undefined: this request goes past the cache. */
  find(exchange: Exchange, request: ForwardRequest, upstream: Upstream): Promise<CacheOutcome> | undefined;
  /** What an answer that went past the cache means for what is kept. */
  note(exchange: Exchange, request: ForwardRequest, answer: ForwardAnswer): void;
  /** Removes what has one of the tags, those that an answer's `Cache-Tag` names; or all. Gives how many addresses. */
  purge(tags: readonly string[] | undefined): number;
  readonly bytes: number;
}

/** Kept, or passed on as it comes; with the value of `Cache-Status`. */
export type CacheOutcome =
  | { readonly kept: CachedAnswer; readonly headers: Record<string, string>; readonly said: string }
  | { readonly passed: ForwardAnswer; readonly said: string };

export interface EdgeCacheParts {
  readonly route: string;
  readonly clock: Clock;
  readonly metrics: Metrics | undefined;
}

/** `options` have been checked (`checkEdgeCache`). */
export function createEdgeCache(options: EdgeCacheOptions, { route, clock, metrics }: EdgeCacheParts): EdgeCache {
  const store = createCacheStore(parseSize(options.size ?? 16 * 1024 * 1024) as number);
  const bodyBytesMax = parseSize(options.bodyLimit ?? 1024 * 1024) as number;
  const swrMs = parseDuration(options.staleWhileRevalidate ?? 0) as number;
  const sieMs = parseDuration(options.staleIfError ?? 0) as number;
  const more = new Set((options.vary ?? []).map((name) => name.toLowerCase()));
  const fetcher = createFetcher({ store, bodyBytesMax, sieMs, clock, makePolicy: createPolicies(clock) });
  const counted = metrics?.counter("plinth_gateway_cache_requests_total", "Requests by what the edge's cache did.", [
    "route",
    "outcome",
  ]);
  const count = (outcome: string): void => counted?.with({ route, outcome }).add();

  const serve = async (cacheable: CacheableRequest, upstream: Upstream): Promise<CacheOutcome> => {
    const { asked } = cacheable;
    for (const kept of own(store, cacheable.address, upstream)) {
      const { response, revalidation } = kept.policy.evaluateRequest(asked);
      const isUsable = response !== undefined || isRecent(kept, asked.headers["cache-control"], swrMs);
      if (!isUsable || !isMatch(kept, asked)) continue;
      const isOld = response === undefined || revalidation !== undefined || kept.policy.stale();
      if (isOld) fetcher.renew(cacheable, upstream, kept);
      count(isOld ? "stale" : "hit");
      return outcomeOf(kept, isOld ? "hit; detail=stale-while-revalidate" : "hit");
    }
    if (/(?:^|[\s,])only-if-cached\b/i.test(asked.headers["cache-control"] ?? "")) throw cacheEmpty();
    const old = own(store, cacheable.address, upstream).find((kept) => isMatch(kept, asked));
    const fetched = await fetcher.fetch(cacheable, upstream, old);
    count(fetched.outcome);
    return fetched.kept ? outcomeOf(fetched.kept, fetched.said) : { passed: fetched.passed, said: fetched.said };
  };

  return {
    find(exchange, request, upstream) {
      const cacheable = readCacheable(exchange, request, more);
      if (cacheable) return serve(cacheable, upstream);
      count("bypass");
      return undefined;
    },
    note({ method }, request, { status, headers }) {
      if (method === "GET" || method === "HEAD" || method === "OPTIONS" || status < 200 || status >= 400) return;
      const address = addressOf(request);
      store.remove(address);
      for (const also of locationsIn(headers, address)) store.remove(also);
    },
    purge: (tags) => (tags ? store.purge(tags) : store.clear()),
    get bytes() {
      return store.bytes;
    },
  };
}

/** Adds what is wrong to `problems`. */
export function checkEdgeCache(where: string, options: EdgeCacheOptions, problems: string[]): void {
  for (const field of ["size", "bodyLimit"] as const) {
    if (options[field] !== undefined && parseSize(options[field]) === undefined) {
      problems.push(`${where}.${field}: ${JSON.stringify(options[field])} cannot be; write a size such as "16mb".`);
    }
  }
  for (const field of ["staleWhileRevalidate", "staleIfError"] as const) {
    if (options[field] !== undefined && parseDuration(options[field]) === undefined) {
      problems.push(`${where}.${field}: ${JSON.stringify(options[field])} cannot be; write a duration such as "30s".`);
    }
  }
  for (const name of options.vary ?? []) {
    if (!/^[A-Za-z0-9-]+$/.test(name)) problems.push(`${where}.vary: ${JSON.stringify(name)} is no header name.`);
  }
}

function own(store: CacheStore, address: string, { name }: Upstream): readonly CachedAnswer[] {
  return store.of(address).filter(({ upstream }) => upstream === name);
}

/** Whether an answer was made for such a request, however old it is. */
function isMatch({ policy }: CachedAnswer, asked: CacheableRequest["asked"]): boolean {
  const { "cache-control": _control, pragma: _pragma, ...headers } = asked.headers;
  const anyAge = { ...asked, headers: { ...headers, "cache-control": "max-stale" } };
  if (policy.evaluateRequest(anyAge).response !== undefined) return true;
  const validators = policy.revalidationHeaders(asked);
  return validators["if-none-match"] !== undefined || validators["if-modified-since"] !== undefined;
}

function isRecent({ policy }: CachedAnswer, control: string | undefined, swrMs: number): boolean {
  if (swrMs === 0 || /no-cache|max-age/i.test(control ?? "") || !mayBeStale(headersOf(policy))) return false;
  return (policy.age() - policy.maxAge()) * 1000 < swrMs;
}

function headersOf(policy: CachedAnswer["policy"]): Record<string, string | undefined> {
  return policy.responseHeaders() as Record<string, string | undefined>;
}

function outcomeOf(kept: CachedAnswer, said: string): CacheOutcome {
  const { policy } = kept;
  const ttl = Math.round(policy.maxAge() - policy.age());
  return { kept, headers: headersOf(policy) as Record<string, string>, said: `plinth; ${said}; ttl=${ttl}` };
}

/** `Location` and `Content-Location` of the same origin: what an unsafe request changed as well. */
function locationsIn(headers: readonly string[], address: string): readonly string[] {
  const found: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "location" && headers[i] !== "content-location") continue;
    const value = headers[i + 1] as string;
    if (!URL.canParse(value, address)) continue;
    const url = new URL(value, address);
    if (url.origin === new URL(address).origin) found.push(url.origin + url.pathname + url.search);
  }
  return found;
}
