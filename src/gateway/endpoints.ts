import type { Authenticator } from "../identity/index.ts";
import type { Overload } from "../resilience/index.ts";
import { levelOf } from "../resilience/index.ts";
import type { Route } from "../service/index.ts";
import { compileAdmission } from "./admission.ts";
import type { Deprecations } from "./deprecation.ts";
import { wrongGateway } from "./errors.ts";
import type { Endpoint, Exchange } from "./exchange.ts";
import type { GatewayRoute } from "./gateway-route.ts";
import type { Mount } from "./mount.ts";
import { compileMount } from "./mount.ts";
import type { Page } from "./page.ts";
import { compilePage } from "./page.ts";
import type { Split } from "./proxy/split.ts";
import type { QuotaSteps } from "./rate-limit/edge.ts";
import { compileRaw } from "./raw.ts";
import type { Router, RouteVerb } from "./router.ts";
import { compileShedding } from "./shed.ts";
import type { EdgeMetrics } from "./signals.ts";
import type { Step } from "./step.ts";
import { composeSteps } from "./step.ts";
import type { StreamSettings } from "./streaming.ts";
import { compileStreaming } from "./streaming.ts";
import { compileUnary } from "./unary.ts";
import type { VersionedEndpoint, VersionSwitch } from "./version.ts";
import { compileVersionSwitch } from "./version.ts";

/** What endpoints are compiled with. */
export interface EndpointParts {
  readonly router: Router;
  readonly metrics: EdgeMetrics;
  readonly settings: StreamSettings;
  readonly authenticator: Authenticator | undefined;
  readonly quotas: QuotaSteps;
  readonly overload: Overload | undefined;
  /** What no request may be, whatever it is for. */
  readonly protect: Step | undefined;
  readonly deprecations: Deprecations;
  readonly versions: VersionSwitch;
  /** Of services, by name. */
  readonly splits: ReadonlyMap<string, Split>;
}

export function addRoutes(routes: readonly GatewayRoute[], parts: EndpointParts): void {
  const byMediaType = new Map<string, VersionedRoute>();
  for (const given of routes) {
    const { operation, at } = given;
    const { route, id } = operation;
    if (!route) continue;
    const serve = given.variants ? compileVariants(given.variants, route, parts) : compileServe(given, route, parts);
    for (const { path, versions } of at ?? [{ path: route.path, versions: undefined }]) {
      if (!versions) {
        add(parts, route.verb, path, serve, id, [id, operation.service]);
        continue;
      }
      const key = `${route.verb} ${path}`;
      const known = byMediaType.get(key) ?? { verb: route.verb, path, endpoints: [] };
      known.endpoints.push({ versions, id, serve, names: [id, operation.service] });
      byMediaType.set(key, known);
    }
  }
  for (const { verb, path, endpoints } of byMediaType.values()) {
    const owner = endpoints.map(({ id }) => id).join(" and ");
    const names = endpoints.flatMap((endpoint) => endpoint.names);
    add(parts, verb, path, compileVersionSwitch(endpoints, parts.versions), owner, names);
  }
}

function compileServe(
  { operation, call, stream, parsesAgain = false }: GatewayRoute,
  route: Route,
  parts: EndpointParts,
  counted = operation,
): Endpoint["serve"] {
  const { id, kind } = operation;
  const deadlineMs = operation.deadlineMs ?? parts.settings.deadlineMs;
  const admit = composeSteps([
    compileShedding(parts.overload, operation.level, deadlineMs),
    parts.protect,
    parts.deprecations.stepOf(id, operation.deprecated),
    parts.quotas.failures,
    compileAdmission(id, operation.access, parts.authenticator, parts.quotas.stepOf(counted.id, counted.limits)),
  ]);
  const settings = parsesAgain ? { ...parts.settings, parsesAgain } : parts.settings;
  if (kind === "stream" && stream) return compileStreaming(operation, route, stream, admit, settings);
  if (kind === "raw" && call) return compileRaw(operation, call, admit, settings);
  if (kind === "unary" && call) return compileUnary(operation, route, call, admit, settings);
  const missing = kind === "stream" ? "stream" : "call";
  throw wrongGateway("ROUTE_INVALID", `${id}: nothing was given that answers it; pass its ${missing}.`);
}

/**
 * Each variant has steps of its own: which one a request meets is decided before all of them. Their limits are those of the
 * first and count together, or each would have a quota of its own.
 */
function compileVariants(
  { split: name, routes }: NonNullable<GatewayRoute["variants"]>,
  route: Route,
  parts: EndpointParts,
): Endpoint["serve"] {
  const split = parts.splits.get(name);
  if (!split) throw wrongGateway("ROUTE_INVALID", `gateway: splits: there is no "${name}".`);
  const serves = routes.map((each) => compileServe(each, route, parts, routes[0]?.operation));
  return (exchange) => (serves[split.choose(exchange)] as Endpoint["serve"])(exchange);
}

interface VersionedRoute {
  readonly verb: RouteVerb;
  readonly path: string;
  readonly endpoints: (VersionedEndpoint & { readonly names: readonly string[] })[];
}

export function addPages(pages: readonly Page[], parts: EndpointParts): void {
  const { headers, compression } = parts.settings;
  for (const page of pages) {
    add(parts, "GET", page.path, compilePage(page, headers, compression), `the page ${page.path}`);
  }
}

function add(
  { router, metrics }: EndpointParts,
  verb: RouteVerb,
  path: string,
  serve: (exchange: Exchange) => void,
  owner: string,
  names?: readonly string[],
): void {
  const endpointOf = (method: RouteVerb): Endpoint => ({
    route: path,
    spanName: `${method} ${path}`,
    ...(names && { names }),
    observe: metrics.observe(method, path),
    serve,
  });
  router.add(verb, path, endpointOf(verb), owner, verb === "GET" ? () => endpointOf("HEAD") : undefined);
}

export interface MountedEndpoint {
  readonly path: string;
  /** Metrics differ by method; made at the first request of each. */
  endpointOf(method: string): Endpoint;
}

export function compileMounts(mounts: readonly Mount[], parts: EndpointParts): readonly MountedEndpoint[] {
  return mounts.map((mount) => {
    const access = mount.access ?? "authenticated";
    const authenticator = mount.authorization === "own" && access === "public" ? undefined : parts.authenticator;
    const name = `mount "${mount.path}"`;
    const admit = composeSteps([
      compileShedding(parts.overload, levelOf(), parts.settings.deadlineMs),
      parts.protect,
      mount.authorization === "own" ? undefined : parts.quotas.failures,
      compileAdmission(name, access, authenticator, parts.quotas.stepOf(name, mount.limits)),
    ]);
    const serve = compileMount(mount, admit, parts.settings.deadlineMs);
    const route = mount.path === "/" ? "/*" : `${mount.path}/*`;
    const known = new Map<string, Endpoint>();
    return {
      path: mount.path,
      endpointOf(method) {
        let endpoint = known.get(method);
        if (!endpoint) {
          endpoint = { route, spanName: `${method} ${route}`, observe: parts.metrics.observe(method, route), serve };
          known.set(method, endpoint);
        }
        return endpoint;
      },
    };
  });
}
