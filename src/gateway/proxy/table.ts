import type { Clock, Random } from "../../base/index.ts";
import type { Logger, Metrics } from "../../telemetry/index.ts";
import type { Upstream } from "../../upstream/index.ts";
import { methodNotAllowed, wrongGateway } from "../errors.ts";
import type { Endpoint, Exchange } from "../exchange.ts";
import { isRequestId } from "../head.ts";
import type { EdgeCache } from "../response-cache/response-cache.ts";
import { createEdgeCache } from "../response-cache/response-cache.ts";
import type { RouteTable } from "../route-table.ts";
import type { RouteVerb } from "../router.ts";
import type { EdgeMetrics } from "../signals.ts";
import type { Step } from "../step.ts";
import type { Mirror } from "./mirror.ts";
import { checkMirroring, createMirror } from "./mirror.ts";
import { compileNesting } from "./nesting.ts";
import { compileProxy } from "./proxy.ts";
import { compileRedirect } from "./redirect.ts";
import type { OutsideRoute, ResolvedRoute } from "./route.ts";
import { resolveRoute } from "./route.ts";
import type { Split, SplitOptions } from "./split.ts";
import { checkSplit, createSplit } from "./split.ts";

/** What stands in front of outside systems, as the app declares it. */
export interface OutsideOptions {
  /** By name, made and started by whoever made the gateway. */
  readonly upstreams?: ReadonlyMap<string, Upstream>;
  readonly splits?: Readonly<Record<string, SplitOptions>>;
  readonly routes?: readonly OutsideRoute[];
}

/** What may change while the process runs, by name. */
export interface Outside {
  readonly routes: readonly ResolvedRoute[];
  readonly splits: ReadonlyMap<string, Split>;
  /** By name of their route. */
  readonly mirrors: ReadonlyMap<string, Mirror>;
  /** Removes what is kept of outside systems and has one of the tags; undefined: all of it. */
  purge(tags: readonly string[] | undefined): number;
}

export interface OutsideParts {
  readonly table: RouteTable;
  readonly metrics: EdgeMetrics;
  readonly allMetrics: Metrics | undefined;
  readonly deadlineMs: number;
  readonly vary: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly newId: () => string;
  /** Whatever a request passes before anything of it leaves. */
  admissionOf(route: ResolvedRoute): Step;
}

/** Adds the routes to the table. Throws StartError: ROUTE_INVALID with every problem, ROUTE_COLLISION, HEADER_INVALID. */
export function addOutside(options: OutsideOptions, parts: OutsideParts): Outside {
  const upstreams = options.upstreams ?? new Map<string, Upstream>();
  const problems: string[] = [];
  const splits = new Map<string, Split>();
  for (const [name, split] of Object.entries(options.splits ?? {})) {
    checkSplitOptions(name, split, [...upstreams.keys()], problems);
    if (problems.length === 0) splits.set(name, createSplit(name, split, parts.random, parts.allMetrics));
  }
  const routes = (options.routes ?? []).map((route) => resolveRoute(route, parts.deadlineMs, problems));
  checkReferences(routes, upstreams, options.splits ?? {}, problems);
  if (problems.length > 0) throw wrongGateway("ROUTE_INVALID", problems);
  const mirrors = new Map<string, Mirror>();
  const caches: EdgeCache[] = [];
  for (const route of routes) {
    const own = { ...parts, metrics: parts.allMetrics, route: route.name, upstreams };
    const mirror = route.route.redirect ? undefined : createMirror(route.route.mirror, own);
    const cache = route.route.cache && createEdgeCache(route.route.cache, own);
    if (mirror) mirrors.set(route.name, mirror);
    if (cache) caches.push(cache);
    addRoute(route, serveOf(route, { upstreams, splits, mirror, cache, routes }, parts), parts);
  }
  if (caches.length > 0) measureCaches(parts.allMetrics, caches);
  const purge = (tags: readonly string[] | undefined): number =>
    caches.reduce((count, cache) => count + cache.purge(tags), 0);
  return { routes, splits, mirrors, purge };
}

function measureCaches(metrics: Metrics | undefined, caches: readonly EdgeCache[]): void {
  if (!metrics) return;
  const bytes = metrics.gauge("plinth_gateway_cache_bytes", "Memory that kept answers of outside systems take.").with();
  metrics.collect(() => bytes.set(caches.reduce((sum, cache) => sum + cache.bytes, 0)));
}

interface Targets {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly splits: ReadonlyMap<string, Split>;
  readonly mirror: Mirror | undefined;
  readonly cache: EdgeCache | undefined;
  readonly routes: readonly ResolvedRoute[];
}

function serveOf(resolved: ResolvedRoute, targets: Targets, parts: OutsideParts): Endpoint["serve"] {
  const { route } = resolved;
  const admit = withNesting(
    compileNesting(resolved, targets.routes),
    withRequestId(parts.admissionOf(resolved), parts.newId),
  );
  if (route.redirect) return compileRedirect(resolved, route.redirect, admit, parts.vary);
  const { mirror, cache } = targets;
  const upstreamOf = chooserOf(resolved, targets);
  return compileProxy({ route: resolved, upstreamOf, mirror, cache, vary: parts.vary }, admit);
}

function chooserOf({ route }: ResolvedRoute, { upstreams, splits }: Targets): (exchange: Exchange) => Upstream {
  if (route.upstream !== undefined) {
    const only = upstreams.get(route.upstream) as Upstream;
    return () => only;
  }
  const split = splits.get(route.split ?? "") as Split;
  const variants = split.variants.map((name) => upstreams.get(name) as Upstream);
  return (exchange) => variants[split.choose(exchange)] as Upstream;
}

function withNesting(check: ((path: string) => void) | undefined, admit: Step): Step {
  if (!check) return admit;
  return (exchange, next) => {
    check(exchange.path);
    admit(exchange, next);
  };
}

/** A request without a usable id gets one; the answer, the log and the outside system name it. */
function withRequestId(admit: Step, newId: () => string): Step {
  return (exchange, next) => {
    const { headers } = exchange;
    const given = headers["x-request-id"];
    if (given === undefined || !isRequestId(given)) headers["x-request-id"] = exchange.span?.traceId ?? newId();
    admit(exchange, next);
  };
}

const plainMethods: readonly RouteVerb[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

function addRoute({ name, route, methods, fixed }: ResolvedRoute, serve: Endpoint["serve"], parts: OutsideParts): void {
  const router = parts.table.at(route.host);
  const endpointOf = (method: RouteVerb): Endpoint => ({
    route: route.path,
    spanName: `${method} ${route.path}`,
    names: [name],
    observe: parts.metrics.observe(method, route.path),
    serve,
  });
  // "/legacy" belongs to "/legacy/*", unless something else is there; and "/admin/" to "/admin": outside systems mostly
  // take both for one, so that a wider and looser route must not get it.
  const isExact = fixed === route.path;
  const also = isExact ? (route.path === "/" ? [] : [`${route.path}/`]) : fixed === "" ? [] : [fixed];
  for (const method of methods) {
    const endpoint = endpointOf(method);
    router.add(method, route.path, endpoint, `the route ${name}`);
    for (const path of also) router.addSpare(method, path, endpoint);
  }
  // A wider route does not get what this one leaves out: its rules may be looser than those declared for this path.
  const refuse: Endpoint["serve"] = ({ path }) => {
    throw methodNotAllowed(router.methodsOf(path).join(", "));
  };
  for (const method of plainMethods) {
    if (methods.includes(method)) continue;
    const endpoint: Endpoint = { ...endpointOf(method), serve: refuse, isRefusal: true };
    router.addSpare(method, route.path, endpoint);
    for (const path of also) router.addSpare(method, path, endpoint);
  }
}

function checkSplitOptions(name: string, split: SplitOptions, upstreams: readonly string[], problems: string[]): void {
  const where = `gateway: splits.${name}`;
  if (!Array.isArray(split.between) || split.between.length < 2)
    problems.push(`${where}.between: name two or more upstreams.`);
  else {
    for (const variant of split.between as readonly string[]) {
      if (!upstreams.includes(variant))
        problems.push(`${where}.between: there is no upstream "${variant}"; there are ${upstreams.join(", ")}.`);
    }
    checkSplit(where, split.between, split, problems);
  }
}

function checkReferences(
  routes: readonly ResolvedRoute[],
  upstreams: ReadonlyMap<string, Upstream>,
  splits: Readonly<Record<string, SplitOptions>>,
  problems: string[],
): void {
  const names = new Set<string>();
  for (const { name, route } of routes) {
    const where = `gateway: routes: ${name}`;
    if (names.has(name)) problems.push(`${where}: two routes have this name; give one of them another.`);
    names.add(name);
    if (route.upstream !== undefined && !upstreams.has(route.upstream)) {
      problems.push(
        `${where}: upstream: there is no "${route.upstream}"; there are ${[...upstreams.keys()].join(", ") || "none"}.`,
      );
    }
    if (route.split !== undefined && !Object.hasOwn(splits, route.split)) {
      problems.push(
        `${where}: split: there is no "${route.split}"; there are ${Object.keys(splits).join(", ") || "none"}.`,
      );
    }
    if (route.mirror) checkMirroring(`${where}: mirror`, route.mirror, [...upstreams.keys()], problems);
  }
}
