import { Readable } from "node:stream";
import type { Clock } from "../../base/index.ts";
import type { ForwardAnswer, Upstream } from "../../upstream/index.ts";
import type { PolicyMaker } from "./policy.ts";
import { byName, mayBeStale } from "./policy.ts";
import { renewedPolicy } from "./renewal.ts";
import type { CacheableRequest } from "./request.ts";
import type { Asking, CachedAnswer, CacheStore } from "./store.ts";

/** What came of asking: an answer that is kept now, or one that passes. `said` goes into `Cache-Status`. */
export type Fetched = { readonly outcome: string; readonly said: string } & (
  | { readonly kept: CachedAnswer; readonly passed?: undefined }
  | { readonly kept?: undefined; readonly passed: ForwardAnswer }
);

export interface Fetcher {
  /** Asks the outside system, once for all who ask alike. `old` is asked for again by its validators. */
  fetch(cacheable: CacheableRequest, upstream: Upstream, old: CachedAnswer | undefined): Promise<Fetched>;
  /** Asks in the background, while `old` is given. Not when somebody asks already, or lately what came could not be kept. */
  renew(cacheable: CacheableRequest, upstream: Upstream, old: CachedAnswer): void;
}

export interface FetcherParts {
  readonly store: CacheStore;
  readonly bodyBytesMax: number;
  readonly sieMs: number;
  readonly clock: Clock;
  readonly makePolicy: PolicyMaker;
}

/** How long it is remembered that an answer cannot be kept, so that nobody waits for another's. */
const passMs = 10_000;
const passCountMax = 10_000;

export function createFetcher(parts: FetcherParts): Fetcher {
  const { clock } = parts;
  const flights = new Map<string, Promise<Fetched>>();
  let passes = new Map<string, number>();

  const isPass = (key: string): boolean => (passes.get(key) ?? Number.NEGATIVE_INFINITY) > clock.now();
  const notePass = (key: string): void => {
    if (passes.size >= passCountMax) passes = new Map();
    passes.set(key, clock.now() + passMs);
  };

  const fetcher: Fetcher = {
    renew(cacheable, upstream, old) {
      const key = keyOf(cacheable, upstream);
      if (isPass(key) || flights.has(key)) return;
      // Told nobody when it fails: the next one who asks hears of it. What is not kept nobody reads.
      fetcher.fetch(cacheable, upstream, old).then(
        ({ passed }) => passed?.body?.destroy(),
        () => {},
      );
    },
    async fetch(cacheable, upstream, old) {
      const key = keyOf(cacheable, upstream);
      if (isPass(key)) return ask(cacheable, upstream, old, parts);
      const flying = flights.get(key);
      if (flying) {
        const { kept, said } = await flying;
        if (kept) return { kept, said: `${said}; collapsed`, outcome: "collapsed" };
        return ask(cacheable, upstream, undefined, parts);
      }
      // One asks for all, so it does not end with the one who happened to be first.
      const shared = { ...cacheable, request: { ...cacheable.request, onCancel: () => () => {} } };
      const flight = ask(shared, upstream, old, parts);
      flights.set(key, flight);
      try {
        const fetched = await flight;
        if (!fetched.kept) notePass(key);
        return fetched;
      } finally {
        flights.delete(key);
      }
    },
  };
  return fetcher;
}

function keyOf({ likeness }: CacheableRequest, { name }: Upstream): string {
  return `${name} ${likeness}`;
}

/** Asks, and keeps what may be kept and was not removed meanwhile. */
async function ask(
  cacheable: CacheableRequest,
  upstream: Upstream,
  old: CachedAnswer | undefined,
  parts: FetcherParts,
): Promise<Fetched> {
  const { store } = parts;
  const asking = store.begin(cacheable.address);
  try {
    return await askFor(cacheable, upstream, old, asking, parts);
  } finally {
    store.end(cacheable.address, asking);
  }
}

/** With `old`, a 304 renews that; without, a whole answer comes. */
async function askFor(
  cacheable: CacheableRequest,
  upstream: Upstream,
  old: CachedAnswer | undefined,
  asking: Asking,
  parts: FetcherParts,
): Promise<Fetched> {
  const { address, asked, request } = cacheable;
  const { store, sieMs, makePolicy } = parts;
  const validators = old ? validatorsOf(old, asked) : [];
  let answer: ForwardAnswer;
  try {
    answer = await upstream.forward({ ...request, headers: [...request.headers, ...validators] });
  } catch (thrown) {
    if (old && mayServeStale(old, sieMs)) return staleOf(old, "detail=stale-if-error");
    throw thrown;
  }
  const { status } = answer;
  if (old && status >= 500 && mayServeStale(old, sieMs)) {
    drop(answer);
    return staleOf(old, `fwd-status=${status}; detail=stale-if-error`);
  }
  const headers = byName(answer.headers);
  if (old && status === 304 && validators.length > 0) {
    drop(answer);
    const policy = renewedPolicy(old, asked, headers, makePolicy);
    // It is not about what is kept, or does not let it be kept: only a whole answer helps, and the old one is of no more use.
    if (!policy) {
      store.forget(address, old);
      return askFor(cacheable, upstream, undefined, asking, parts);
    }
    const renewed: CachedAnswer = { ...old, policy };
    if (!asking.isRemoved) store.put(address, renewed, old);
    return { kept: renewed, outcome: "revalidated", said: "fwd=stale; fwd-status=304" };
  }
  const reason = old ? "stale" : "miss";
  const kept = await keep(
    answer,
    headers,
    { address, asked, upstream, old, asking, isGet: request.method === "GET" },
    parts,
  );
  if (kept.kept) return { kept: kept.kept, outcome: "miss", said: `fwd=${reason}; fwd-status=${status}; stored` };
  return { passed: kept.answer, outcome: "pass", said: `plinth; fwd=${reason}; fwd-status=${status}` };
}

interface Keeping {
  readonly address: string;
  readonly asked: CacheableRequest["asked"];
  readonly upstream: Upstream;
  readonly old: CachedAnswer | undefined;
  readonly asking: Asking;
  /** An answer to HEAD has no body that a GET could be answered with. */
  readonly isGet: boolean;
}

type Kept =
  | { readonly kept: CachedAnswer; readonly answer?: undefined }
  | { readonly kept?: undefined; readonly answer: ForwardAnswer };

/** Keeps an answer where that is allowed and it is small enough; otherwise gives it back whole, as it comes. */
async function keep(
  answer: ForwardAnswer,
  headers: Record<string, string>,
  { address, asked, upstream, old, asking, isGet }: Keeping,
  { store, bodyBytesMax, makePolicy }: FetcherParts,
): Promise<Kept> {
  const { status, body } = answer;
  const { "cache-tag": tagged, ...telling } = headers;
  const policy = makePolicy(asked, { status, headers: telling });
  const isSmall = Number(headers["content-length"] ?? 0) <= bodyBytesMax;
  const hasUse = policy.timeToLive() > 0 || headers.etag !== undefined || headers["last-modified"] !== undefined;
  const hasCookie = headers["set-cookie"] !== undefined;
  const isWhole = status !== 206 && headers.vary?.trim() !== "*" && headers["content-range"] === undefined;
  if (!policy.storable() || !isSmall || !hasUse || hasCookie || !isWhole || !isGet) return { answer };
  const read = body ? await readUpTo(body, bodyBytesMax) : { whole: Buffer.alloc(0) };
  if (!read.whole) return { answer: { ...answer, body: read.rest } };
  const tags = (tagged ?? "").split(/[\s,]+/).filter((tag) => tag !== "");
  const kept: CachedAnswer = { policy, status, body: read.whole, upstream: upstream.name, tags };
  // What was purged meanwhile may have been made of what is no longer true.
  if (!asking.isRemoved) store.put(address, kept, old);
  return { kept };
}

async function readUpTo(
  body: Readable,
  bytesMax: number,
): Promise<
  { readonly whole: Buffer; readonly rest?: undefined } | { readonly whole?: undefined; readonly rest: Readable }
> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) return { whole: Buffer.concat(chunks, bytes) };
    chunks.push(value);
    bytes += value.length;
    if (bytes > bytesMax) break;
  }
  return { rest: restOf(chunks, iterator, body) };
}

/** What was read already and what still comes. Whoever leaves it ends the exchange with the outside system, at any time. */
function restOf(chunks: Buffer[], iterator: AsyncIterator<Buffer, undefined>, body: Readable): Readable {
  return new Readable({
    read() {
      const known = chunks.shift();
      if (known) {
        this.push(known);
        return;
      }
      iterator.next().then(
        ({ value }) => this.push(value ?? null),
        (broken: Error) => this.destroy(broken),
      );
    },
    destroy(cause, done) {
      body.destroy();
      done(cause);
    },
  });
}

function validatorsOf(old: CachedAnswer, asked: CacheableRequest["asked"]): string[] {
  const headers = old.policy.revalidationHeaders(asked) as Record<string, string | undefined>;
  const pairs: string[] = [];
  for (const name of ["if-none-match", "if-modified-since"]) {
    const value = headers[name];
    if (value !== undefined) pairs.push(name, value);
  }
  return pairs;
}

function mayServeStale({ policy }: CachedAnswer, sieMs: number): boolean {
  const headers = policy.responseHeaders() as Record<string, string | undefined>;
  if (!mayBeStale(headers)) return false;
  const declared = /stale-if-error\s*=\s*"?(\d{1,9})/i.exec(headers["cache-control"] ?? "")?.[1];
  const ms = declared === undefined ? sieMs : Number(declared) * 1000;
  return (policy.age() - policy.maxAge()) * 1000 < ms;
}

function staleOf(old: CachedAnswer, detail: string): Fetched {
  return { kept: old, outcome: "stale", said: `hit; ${detail}` };
}

/** Reads what nobody wants, so that the connection can be used again. */
function drop({ body }: ForwardAnswer): void {
  body?.on("error", () => {});
  body?.resume();
}
