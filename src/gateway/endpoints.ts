import type { Authenticator } from "../identity/index.ts";
import { compileAdmission } from "./admission.ts";
import { wrongGateway } from "./errors.ts";
import type { Endpoint, Exchange } from "./exchange.ts";
import type { GatewayRoute } from "./gateway-route.ts";
import type { Mount } from "./mount.ts";
import { compileMount } from "./mount.ts";
import type { Page } from "./page.ts";
import { compilePage } from "./page.ts";
import { compileRaw } from "./raw.ts";
import type { QuotaSteps } from "./rate-limit-edge.ts";
import type { Router, RouteVerb } from "./router.ts";
import type { EdgeMetrics } from "./signals.ts";
import { composeSteps } from "./step.ts";
import type { StreamSettings } from "./streaming.ts";
import { compileStreaming } from "./streaming.ts";
import { compileUnary } from "./unary.ts";

/** What endpoints are compiled with. */
export interface EndpointParts {
  readonly router: Router;
  readonly metrics: EdgeMetrics;
  readonly settings: StreamSettings;
  readonly authenticator: Authenticator | undefined;
  readonly quotas: QuotaSteps;
}

export function addRoutes(routes: readonly GatewayRoute[], parts: EndpointParts): void {
  for (const { operation, call, stream, parsesAgain = false } of routes) {
    const { route, id, kind } = operation;
    if (!route) continue;
    const admit = composeSteps([
      parts.quotas.failures,
      compileAdmission(id, operation.access, parts.authenticator),
      parts.quotas.stepOf(id, operation.limits),
    ]);
    const settings = parsesAgain ? { ...parts.settings, parsesAgain } : parts.settings;
    let serve: Endpoint["serve"];
    if (kind === "stream" && stream) serve = compileStreaming(operation, route, stream, admit, settings);
    else if (kind === "raw" && call) serve = compileRaw(operation, call, admit, settings);
    else if (kind === "unary" && call) serve = compileUnary(operation, route, call, admit, settings);
    else {
      const missing = kind === "stream" ? "stream" : "call";
      throw wrongGateway("ROUTE_INVALID", `${id}: nothing was given that answers it; pass its ${missing}.`);
    }
    add(parts, route.verb, route.path, serve, id);
  }
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
): void {
  const endpointOf = (method: RouteVerb): Endpoint => ({
    route: path,
    spanName: `${method} ${path}`,
    observe: metrics.observe(method, path),
    serve,
  });
  router.add(verb, path, endpointOf(verb), owner);
  if (verb === "GET") router.addHead(path, endpointOf("HEAD"));
}

export interface MountedEndpoint {
  readonly path: string;
  /** Metrics differ by method; made at the first request of each. */
  endpointOf(method: string): Endpoint;
}

export function compileMounts(mounts: readonly Mount[], parts: EndpointParts): readonly MountedEndpoint[] {
  return mounts.map((mount) => {
    const access = mount.access ?? "authenticated";
    const admit = composeSteps([
      parts.quotas.failures,
      compileAdmission(`mount "${mount.path}"`, access, parts.authenticator),
      parts.quotas.stepOf(`mount ${mount.path}`, mount.limits),
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
