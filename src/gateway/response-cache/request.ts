import type { ForwardRequest } from "../../upstream/index.ts";
import type { Exchange } from "../exchange.ts";
import type { PolicyRequest } from "./policy.ts";
import { byName } from "./policy.ts";

/** A request that may be answered from what is kept. */
export interface CacheableRequest {
  /** What answers are kept under: scheme, host, path and query as the outside system sees them. */
  readonly address: string;
  /** For the rules: with what it may be selected by. */
  readonly asked: PolicyRequest;
  /** What is sent: without what no answer may depend on unseen. */
  readonly request: ForwardRequest;
  /** Equal for requests that the outside system cannot tell apart. */
  readonly likeness: string;
}

/**
 * What an outside system sees of a request whose answer may be kept. A header that is no part of this could change an
 * answer that others get later (cache poisoning), so it is not sent; those that a route names are.
 */
const passed: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "authorization",
  "cache-control",
  "pragma",
  "x-request-id",
]);

/** What differs between requests that are alike. */
const incidental: ReadonlySet<string> = new Set(["x-request-id"]);

/** Undefined: the request goes past the cache. Conditions are judged here, so that a whole answer can be kept. */
export function readCacheable(
  exchange: Exchange,
  request: ForwardRequest,
  more: ReadonlySet<string>,
): CacheableRequest | undefined {
  const { method, headers } = exchange;
  if ((method !== "GET" && method !== "HEAD") || request.body !== undefined) return undefined;
  if (
    headers.range !== undefined ||
    headers["if-match"] !== undefined ||
    headers["if-unmodified-since"] !== undefined
  ) {
    return undefined;
  }
  const pairs: string[] = [];
  const telling: string[] = [];
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = request.headers[i] as string;
    if (!passed.has(name) && !more.has(name) && !name.startsWith("x-plinth-")) continue;
    pairs.push(name, request.headers[i + 1] as string);
    if (!incidental.has(name)) telling.push(name, request.headers[i + 1] as string);
  }
  const address = addressOf(request);
  const known = byName(telling);
  // Somebody in particular asks: what is kept of that answer is for nobody else, unless the answer says so (RFC 9111, 3.5).
  if (exchange.principal.kind !== "anonymous") known.authorization ??= "verified";
  return {
    address,
    asked: { url: address, method: "GET", headers: known },
    request: { ...request, headers: pairs },
    likeness: JSON.stringify([address, method, known]),
  };
}

export function addressOf({ client, path }: ForwardRequest): string {
  return `${client.proto}://${client.host.toLowerCase()}${path}`;
}
