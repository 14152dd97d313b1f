import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import { wrongGateway } from "./errors.ts";
import { isHeaderName } from "./head.ts";
import { headLines } from "./quick-answer.ts";

/** Which web pages of other origins may call this API from a browser. Without it: none. */
export interface CorsOptions {
  /** Exact origins, such as `"https://shop.example"`; or `"*"` for all, which excludes `credentials`. */
  readonly origins: readonly string[] | "*";
  /** Whether the browser sends cookies and client certificates. A bearer token needs no credentials. Default false. */
  readonly credentials?: boolean;
  /** Methods that a page may use. Default: those of the path. */
  readonly methods?: readonly string[];
  /** Request headers that a page may send. Default: authorization, content-type, idempotency-key, plinth-position, traceparent, tracestate, x-request-id. */
  readonly allowHeaders?: readonly string[];
  /** Answer headers that a page may read. Default: etag, plinth-position, ratelimit, ratelimit-policy, retry-after, x-request-id. */
  readonly exposeHeaders?: readonly string[];
  /** How long a browser remembers a preflight. Default 10 min. */
  readonly maxAge?: Duration;
}

export interface Cors {
  /** Goes into every answer. */
  readonly always: Readonly<Record<string, string>>;
  /** Names and values for an answer to a page of `origin`; nothing when it may not read it. */
  pairsFor(origin: string): readonly string[];
  /** The same as lines of a head. */
  linesFor(origin: string): string;
  /** Names and values for a preflight: `methods` are those of the path. */
  preflight(origin: string, methods: readonly string[]): readonly string[];
}

const allowHeadersDefault = [
  "authorization",
  "content-type",
  "idempotency-key",
  "plinth-position",
  "traceparent",
  "tracestate",
  "x-request-id",
];
const exposeHeadersDefault = [
  "etag",
  "plinth-position",
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "x-request-id",
];
const originPattern = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@*A-Z\s]+$/;

/** Throws StartError CORS_INVALID. */
export function compileCors(options: CorsOptions): Cors {
  check(options);
  const exposed = (options.exposeHeaders ?? exposeHeadersDefault).join(", ").toLowerCase();
  const allowedHeaders = (options.allowHeaders ?? allowHeadersDefault).join(", ").toLowerCase();
  const maxAge = String(Math.floor((parseDuration(options.maxAge ?? "10m") as number) / 1000));
  const usable = options.methods && new Set(options.methods);

  const pairsOf = (origin: string): string[] => [
    "access-control-allow-origin",
    origin,
    ...(options.credentials ? ["access-control-allow-credentials", "true"] : []),
    ...(exposed === "" ? [] : ["access-control-expose-headers", exposed]),
  ];
  const isOpen = options.origins === "*";
  const known = new Map(
    isOpen ? [] : (options.origins as readonly string[]).map((origin) => [origin, pairsOf(origin)]),
  );
  const open = isOpen ? pairsOf("*") : [];
  const lines = new Map([...known].map(([origin, pairs]) => [origin, headLines(pairs)]));
  const openLines = headLines(open);
  const none: readonly string[] = [];

  return {
    always: isOpen ? {} : { vary: "origin" },
    pairsFor: (origin) => known.get(origin) ?? open,
    linesFor: (origin) => lines.get(origin) ?? openLines,
    preflight(origin, methods) {
      const vary = ["vary", "origin, access-control-request-method, access-control-request-headers"];
      const pairs = known.get(origin) ?? open;
      if (pairs.length === 0) return vary;
      const allowed = usable ? methods.filter((method) => usable.has(method)) : methods;
      return [
        ...pairs.slice(0, options.credentials ? 4 : 2),
        ...(allowed.length === 0 ? none : ["access-control-allow-methods", allowed.join(", ")]),
        ...(allowedHeaders === "" ? none : ["access-control-allow-headers", allowedHeaders]),
        "access-control-max-age",
        maxAge,
        ...vary,
      ];
    },
  };
}

function check(options: CorsOptions): void {
  const problems: string[] = [];
  if (options.origins === "*") {
    if (options.credentials) {
      problems.push(
        'gateway: cors: "*" and credentials exclude each other, or every page could act as the user; list the exact origins.',
      );
    }
  } else if (!Array.isArray(options.origins)) {
    problems.push('gateway: cors.origins: write a list of exact origins, or "*".');
  } else {
    for (const origin of options.origins as readonly string[]) {
      if (!originPattern.test(origin)) {
        problems.push(
          `gateway: cors.origins: ${JSON.stringify(origin)} is no exact origin; write scheme and host in small letters without a path, such as "https://shop.example".`,
        );
      }
    }
  }
  for (const field of ["allowHeaders", "exposeHeaders", "methods"] as const) {
    for (const name of options[field] ?? []) {
      if (!isHeaderName(name))
        problems.push(`gateway: cors.${field}: ${JSON.stringify(name)} is no name; use letters, digits and dashes.`);
    }
  }
  if (parseDuration(options.maxAge ?? "10m") === undefined)
    problems.push('gateway: cors.maxAge: write a duration such as "10m".');
  if (problems.length > 0) throw wrongGateway("CORS_INVALID", problems);
}
