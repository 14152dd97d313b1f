import type { Duration, Size } from "../../base/index.ts";
import { parseDuration, parseSize } from "../../base/index.ts";
import type { Criticality } from "../../resilience/index.ts";
import { criticalities, isCriticality } from "../../resilience/index.ts";
import type { Access, MethodLimit, MethodLimits } from "../../service/index.ts";
import { compileMethodLimits, isAccess } from "../../service/index.ts";
import type { EdgeCacheOptions } from "../response-cache/response-cache.ts";
import { checkEdgeCache } from "../response-cache/response-cache.ts";
import type { RouteVerb } from "../router.ts";
import type { Mirroring } from "./mirror.ts";
import { fixedPart } from "./path.ts";
import type { StickyKey } from "./split.ts";
import type { HeaderChanges } from "./transform.ts";

/**
 * A route to an outside system: what Plinth did not write, behind the same steps as a method. Exactly one of `upstream`,
 * `split` and `redirect` says where it leads.
 */
export interface OutsideRoute {
  /** How the gateway's file, messages and metrics call it. Default: host and path. */
  readonly name?: string;
  /** `"old.shop.example"` or `"*.shop.example"`. Default: every host that the gateway serves. */
  readonly host?: string;
  /** `"/legacy/*"` for everything under `/legacy`, itself included; `"/health"` for that alone. No parameters. */
  readonly path: string;
  /** Default: GET, HEAD, POST, PUT, PATCH and DELETE. OPTIONS is answered by the gateway, unless it is listed here. */
  readonly methods?: readonly RouteVerb[];
  /** The name of one of `upstreams`. */
  readonly upstream?: string;
  /** The name of one of `splits`. */
  readonly split?: string;
  readonly redirect?: Redirect;
  /** Who may call. Default `"authenticated"`: a valid token is needed. */
  readonly access?: Access;
  /**
   * `"verify"`: the gateway verifies the client's token, keeps it, and tells the outside system who calls by `X-Plinth-*`
   * headers. `"pass"`: the outside system verifies; the header passes untouched, and `access` must be written `"public"`.
   * Default `"verify"`.
   */
  readonly authorization?: "verify" | "pass";
  /** Takes the fixed part of `path` off: `/legacy/a` becomes `/a`. */
  readonly strip?: boolean;
  /** Puts another in its place: with `"/old"`, `/legacy/a` becomes `/old/a`. */
  readonly rewrite?: string;
  /** Takes paths with encoded slashes, `;` parameters and empty segments, which servers read differently. Default false. */
  readonly looseSegments?: boolean;
  /** How much it matters when not all can be served, as of a method. Default "critical". */
  readonly criticality?: Criticality;
  /** How often it may be called, as of a method; `false`: without any limit. */
  readonly limits?: readonly MethodLimit[] | false;
  readonly headers?: { readonly request?: HeaderChanges; readonly response?: HeaderChanges };
  /** Until the answer's head. Above: 504. Default: the gateway's `deadline`, 10 s. */
  readonly deadline?: Duration;
  /** Largest request body. Above: 413. Default 10 MiB. */
  readonly bodyLimit?: Size;
  /** Doing it twice is as good as once, whatever the method: it may be tried again. Default: by the method. */
  readonly idempotent?: boolean;
  /** For an upstream with `balance: "hash"`: what goes to the same target. */
  readonly hashBy?: StickyKey;
  /** Server-sent events, and other answers of lines without an end. */
  readonly streams?: StreamsOptions;
  /** Takes WebSockets. Default: an upgrade is not passed on. */
  readonly websocket?: WebSocketOptions;
  readonly mirror?: Mirroring;
  /** Keeps answers at the edge, as they allow it (RFC 9111). Default: nothing is kept. */
  readonly cache?: EdgeCacheOptions;
}

export interface Redirect {
  /** A path or an `https` address. A `*` at its end stands for what came after the route's fixed part. The query is kept. */
  readonly to: string;
  /** Default 308, which keeps method and body. */
  readonly status?: 301 | 302 | 303 | 307 | 308;
}

/** How long an answer may be silent is the upstream's `limits.stalled`. */
export interface StreamsOptions {
  /** How long one may last altogether; then it ends well, and a browser opens it again. Default 1 h. */
  readonly duration?: Duration;
  /** How many there may be on this route in this process. Above: 503. Default 1000. */
  readonly count?: number;
}

/** Their count, silence, age and speed are limited by the upstream: `limits.tunnels`, `tunnelIdle`, `tunnelAge`, `tunnelBytesPerSecond`. */
export interface WebSocketOptions {
  /** Exact origins of the pages that may open one: `"https://shop.example"`. Any other is 403: a browser sends cookies with it. */
  readonly origins: readonly string[];
  /** Takes clients that are no browsers and name no origin. Default false: 403. */
  readonly withoutOrigin?: boolean;
}

/** A route with its defaults, in plain numbers. */
export interface ResolvedRoute {
  readonly name: string;
  readonly route: OutsideRoute;
  readonly fixed: string;
  readonly methods: readonly RouteVerb[];
  readonly access: Access;
  readonly limits: MethodLimits | false | undefined;
  readonly deadlineMs: number;
  readonly bodyLimitBytes: number;
  readonly streamMs: number;
  readonly streamCount: number;
}

const methodsDefault: readonly RouteVerb[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const pathPattern = /^(?:\/\*|(?:\/[A-Za-z0-9._~-]+)+(?:\/\*)?|\/)$/;
const originPattern = /^https?:\/\/[a-z0-9.-]+(?::\d{1,5})?$/;
const rewritePattern = /^(?:\/[A-Za-z0-9._~-]*)+$/;
const redirectPattern = /^(?:https:\/\/[a-z0-9.-]+(?::\d{1,5})?)?(?:\/[A-Za-z0-9._~-]+)*\/?\*?$/;

/** Adds what is wrong to `problems`; what it gives then is not to be used. */
export function resolveRoute(route: OutsideRoute, deadlineMs: number, problems: string[]): ResolvedRoute {
  const name = routeName(route);
  const where = `gateway: routes: ${name}`;
  const wrong = (what: string): void => void problems.push(`${where}: ${what}`);
  const ms = (field: string, value: Duration | undefined, fallback: number): number => {
    const given = value === undefined ? fallback : parseDuration(value);
    if (given === undefined || given < 1)
      wrong(`${field}: ${JSON.stringify(value)} cannot be; write a duration such as "30s".`);
    return given ?? fallback;
  };
  const bytes = (field: string, value: Size | undefined, fallback: number): number => {
    const given = value === undefined ? fallback : parseSize(value);
    if (given === undefined) wrong(`${field}: ${JSON.stringify(value)} cannot be; write a size such as "1mb".`);
    return given ?? fallback;
  };
  const streamCount = route.streams?.count ?? 1000;
  if (!Number.isInteger(streamCount) || streamCount < 1) wrong("streams.count: write a whole number above 0.");
  if (route.criticality !== undefined && !isCriticality(route.criticality))
    wrong(`criticality: "${route.criticality}" is none; use one of ${criticalities.join(", ")}.`);
  checkShape(route, wrong);
  if (route.cache) checkEdgeCache(`${where}: cache`, route.cache, problems);
  return {
    name,
    route,
    fixed: fixedPart(route.path),
    methods: withHead(route.methods ?? methodsDefault),
    access: route.access ?? "authenticated",
    limits: compileMethodLimits(
      where,
      { ...(route.limits !== undefined && { limits: route.limits }), http: route.path },
      problems,
    ),
    deadlineMs: ms("deadline", route.deadline, deadlineMs),
    bodyLimitBytes: bytes("bodyLimit", route.bodyLimit, 10 * 1024 * 1024),
    streamMs: ms("streams.duration", route.streams?.duration, 3_600_000),
    streamCount,
  };
}

/** HEAD is served wherever GET is. */
function withHead(methods: readonly RouteVerb[]): readonly RouteVerb[] {
  return methods.includes("GET") && !methods.includes("HEAD") ? [...methods, "HEAD"] : methods;
}

/** How messages, metrics and the gateway's file call a route: its name, or host and path. */
export function routeName({ name, host = "", path }: OutsideRoute): string {
  return name ?? `${host}${path}`;
}

function checkShape(route: OutsideRoute, wrong: (what: string) => void): void {
  if (!pathPattern.test(route.path)) {
    wrong(
      'path: it begins with "/" and has plain parts, with "/*" at its end for everything below, such as "/legacy/*".',
    );
  }
  const targets = [route.upstream, route.split, route.redirect].filter((each) => each !== undefined);
  if (targets.length !== 1) wrong("write one of upstream, split and redirect.");
  if (route.methods?.length === 0) wrong("methods: name at least one, or leave it out.");
  for (const method of route.methods ?? []) {
    if (!/^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method)) wrong(`methods: ${method} cannot be passed on.`);
  }
  if (route.access !== undefined && !isAccess(route.access)) wrong("access: this is no access rule.");
  if (route.authorization === "pass" && route.access !== "public") {
    wrong(
      'authorization: who lets the outside system verify writes access: "public" beside it, so that nobody is deceived.',
    );
  }
  if (route.strip && route.rewrite !== undefined)
    wrong("strip and rewrite exclude each other; rewrite alone is enough.");
  if (route.rewrite !== undefined && !rewritePattern.test(route.rewrite)) {
    wrong(`rewrite: ${JSON.stringify(route.rewrite)} is no path; write plain parts such as "/old/api".`);
  }
  if (route.redirect) checkRedirect(route, route.redirect, wrong);
  if (route.websocket) checkWebSocket(route.websocket, wrong);
}

function checkRedirect(route: OutsideRoute, { to, status }: Redirect, wrong: (what: string) => void): void {
  if (!redirectPattern.test(to) || to === "" || to === "*") {
    wrong(`redirect.to: ${JSON.stringify(to)} is neither a path nor an https address without a query.`);
  }
  if (to.endsWith("*") && !route.path.endsWith("/*")) wrong('redirect.to: a "*" needs a path that ends with "/*".');
  if (status !== undefined && ![301, 302, 303, 307, 308].includes(status)) wrong(`redirect.status: ${status} is none.`);
}

function checkWebSocket({ origins }: WebSocketOptions, wrong: (what: string) => void): void {
  if (!Array.isArray(origins)) wrong("websocket.origins: list the pages that may open one; [] for none.");
  else
    for (const origin of origins as readonly string[]) {
      if (!originPattern.test(origin)) {
        wrong(`websocket.origins: ${JSON.stringify(origin)} is no exact origin, such as "https://shop.example".`);
      }
    }
}
