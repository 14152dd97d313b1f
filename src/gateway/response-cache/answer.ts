import { matchesEtag } from "../etag.ts";
import type { Exchange } from "../exchange.ts";
import type { Answering } from "../proxy/answer.ts";
import { headOf, sendAnswer } from "../proxy/answer.ts";
import type { CacheOutcome } from "./response-cache.ts";
import type { CachedAnswer } from "./store.ts";

/** Answers with what the cache found or fetched. */
export function sendOutcome(exchange: Exchange, outcome: CacheOutcome, answering: Answering): void {
  if ("passed" in outcome) {
    const { passed, said } = outcome;
    exchange.target = passed.target;
    exchange.attempts = passed.attempts;
    if (exchange.isOver) passed.body?.destroy();
    else sendAnswer(exchange, { ...passed, headers: withStatus(passed.headers, said) }, answering);
    return;
  }
  if (!exchange.isOver) sendKept(exchange, outcome.kept, withStatus(pairsOf(outcome.headers), outcome.said), answering);
}

function withStatus(headers: readonly string[], said: string): string[] {
  const pairs: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== "cache-tag") pairs.push(headers[i] as string, headers[i + 1] as string);
  }
  pairs.push("cache-status", said);
  return pairs;
}

function sendKept(exchange: Exchange, { status, body }: CachedAnswer, headers: string[], answering: Answering): void {
  if (status === 200 && isUnchanged(exchange, headers)) {
    exchange.answer(304, headOf(exchange, unchangedHeaders(headers), answering), undefined, 0);
    return;
  }
  const head = headOf(exchange, headers, answering);
  const isEmpty = status === 204 || exchange.method === "HEAD";
  if (status !== 204) head.push("content-length", String(body.byteLength));
  exchange.answer(status, head, isEmpty ? undefined : body, isEmpty ? 0 : body.byteLength);
}

/** The conditions of a client (RFC 9110, 13.2.2): a tag counts before a date. */
function isUnchanged({ headers }: Exchange, kept: readonly string[]): boolean {
  const tags = headers["if-none-match"];
  const etag = headerIn(kept, "etag");
  if (tags !== undefined) return etag !== undefined && matchesEtag(tags, etag.startsWith("W/") ? etag.slice(2) : etag);
  const since = headers["if-modified-since"];
  const modified = headerIn(kept, "last-modified");
  if (since === undefined || modified === undefined) return false;
  const [asked, known] = [Date.parse(since), Date.parse(modified)];
  return known <= asked;
}

function headerIn(pairs: readonly string[], name: string): string | undefined {
  const at = pairs.findIndex((each, i) => i % 2 === 0 && each === name);
  return at === -1 ? undefined : pairs[at + 1];
}

/** What a 304 repeats (RFC 9110, 15.4.5). */
const repeated: ReadonlySet<string> = new Set([
  "age",
  "cache-control",
  "cache-status",
  "content-location",
  "date",
  "etag",
  "expires",
  "vary",
]);

function unchangedHeaders(headers: readonly string[]): string[] {
  const pairs: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (repeated.has(headers[i] as string)) pairs.push(headers[i] as string, headers[i + 1] as string);
  }
  return pairs;
}

/** The length is told anew; what an old answer said of it may be missing. */
function pairsOf(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => (name === "content-length" ? [] : [name, value]));
}
