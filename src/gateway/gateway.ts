import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock, Random } from "../base/index.ts";
import { createDeadlines, createIds, systemClock, systemRandom } from "../base/index.ts";
import type { Authenticator } from "../identity/index.ts";
import { createChallenge } from "../identity/index.ts";
import type { Overload } from "../resilience/index.ts";
import type { AccessLog, Logger, Metrics, Tracer } from "../telemetry/index.ts";
import { problemContentType } from "../wire/index.ts";
import { compileClientOf } from "./client/address.ts";
import type { TrustedProxiesOptions } from "./client/trusted-proxies.ts";
import { compileTrustedProxies } from "./client/trusted-proxies.ts";
import type { CompressionOptions } from "./compression.ts";
import { compileCompression } from "./compression.ts";
import { Connections } from "./connection.ts";
import type { CorsOptions } from "./cors.ts";
import { compileCors } from "./cors.ts";
import type { CsrfOptions } from "./csrf.ts";
import { createDeprecations } from "./deprecation.ts";
import { createDispatcher } from "./dispatcher.ts";
import { addPages, addRoutes, compileMounts } from "./endpoints.ts";
import { wrongGateway } from "./errors.ts";
import type { Edge } from "./exchange.ts";
import { createFallbacks } from "./fallback.ts";
import type { GatewayRoute } from "./gateway-route.ts";
import type { HeaderOptions } from "./head.ts";
import { headTemplate, resolveHeaders } from "./head.ts";
import { credentialHeadersOf } from "./identity-of.ts";
import type { InspectOptions } from "./inspection.ts";
import { compileProtection } from "./inspection.ts";
import type { GatewayLimits } from "./limits.ts";
import { resolveLimits } from "./limits.ts";
import type { Mount } from "./mount.ts";
import type { Page } from "./page.ts";
import { compileOutsideAdmission } from "./proxy/admission.ts";
import type { SplitOptions } from "./proxy/split.ts";
import { createSplits } from "./proxy/split.ts";
import type { Outside, OutsideOptions } from "./proxy/table.ts";
import { addOutside } from "./proxy/table.ts";
import { QuickAnswers } from "./quick-answer.ts";
import type { CompiledQuotas, QuotaOptions } from "./rate-limit/edge.ts";
import { compileQuotas } from "./rate-limit/edge.ts";
import type { Maintenance } from "./reload/maintenance.ts";
import { createMaintenance } from "./reload/maintenance.ts";
import { createRouteTable } from "./route-table.ts";
import type { GatewayServer } from "./server.ts";
import { createGatewayServer } from "./server.ts";
import { createEdgeMetrics } from "./signals.ts";
import { StalledClients } from "./stalled-client.ts";
import type { GatewayTls } from "./tls/tls.ts";
import type { VersionOptions } from "./version.ts";

/**
 * The HTTP edge: turns outside HTTP into calls, over `node:http`.
 *
 * Everything that can be decided before the first request is: each route has its own pipeline with only the steps that it
 * needs, heads of answers are flat arrays with one free place, metrics are handles, policies are closures.
 *
 * Promises
 * - Every error, from every layer, is `application/problem+json` whose `status` is the real one; what went wrong inside
 *   stays inside. A handler that throws costs one request.
 * - Identity and access are settled before a byte of the body is read.
 * - A request that two readers could take in two ways (lengths that disagree, two `Host` headers, bare line feeds) is
 *   refused and its connection closed. The parser is never the lenient one.
 * - The caller's context ends with the request: its deadline passes (504), or the client goes away (logged as 499).
 *
 * Limits are in `limits.ts`, each with what is answered there; TLS is in `tls/tls.ts`, HTTP/2 in `http2/http2.ts`.
 */
export interface GatewayOptions {
  readonly routes: readonly GatewayRoute[];
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly mode: "development" | "test" | "production";
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly accessLog?: AccessLog;
  readonly tracer?: Tracer;
  readonly metrics?: Metrics;
  /** Needed as soon as one route is not public. */
  readonly authenticator?: Authenticator;
  /** Named in `WWW-Authenticate` where there is no authenticator. Default "api". */
  readonly realm?: string;
  readonly cors?: CorsOptions;
  /** Changes to the headers that every answer has; `false` takes one away. */
  readonly headers?: HeaderOptions;
  readonly limits?: GatewayLimits;
  /** Needed as soon as one route has limits. */
  readonly quotas?: QuotaOptions;
  /** Proxies that are believed when they say where a request comes from. Default: none. */
  readonly trustedProxies?: TrustedProxiesOptions;
  /** Whether the process takes on one more request. Default: as many as `limits` say. */
  readonly overload?: Overload | undefined;
  /** `false` for none. */
  readonly compression?: CompressionOptions | false;
  readonly mounts?: readonly Mount[];
  readonly pages?: readonly Page[];
  /** Where all routes but those with a `host` of their own are served; requests for other hosts are 421. Default: any. */
  readonly hosts?: readonly string[];
  /** How media types name versions, for the routes that say which they are. */
  readonly versions?: VersionOptions;
  /** How requests are shared out between services that answer the same routes, by name. They have been checked. */
  readonly serviceSplits?: Readonly<Record<string, SplitOptions>>;
  /** Outside systems behind this gateway. */
  readonly outside?: OutsideOptions;
  /** For users whom handlers know by a cookie. */
  readonly csrf?: CsrfOptions | undefined;
  /** Looks for shapes of attacks. Default: not. */
  readonly inspect?: InspectOptions | undefined;
  /** With it, `start` listens with TLS. */
  readonly tls?: GatewayTls | undefined;
  /** Whether a request that did not come over TLS, as far as trusted proxies say, is 403. */
  readonly requiresHttps?: boolean | undefined;
  /** Taken off the path of each request, for mounting under a path that the outer app leaves on. */
  readonly prefix?: string;
}

export interface Gateway extends GatewayServer {
  /** Splits and mirrors, which may change while it runs. */
  readonly outside: Outside;
  readonly maintenance: Maintenance;
  /** Other limits for the plans that there are: throws when they cannot be, and takes hold when what it gives is called. */
  readonly replacePlans: CompiledQuotas["replacePlans"];
  /**
   * For mounting inside an Express, Fastify or `node:http` app: mount it before body parsers. With `next`, a path that is
   * not ours is handed back instead of answered with 404. Before `open` or `start`, and once the gateway has drained,
   * what is ours is answered with 503 and `Retry-After`.
   */
  readonly handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
}

/** Throws StartError: ROUTE_COLLISION, ROUTE_INVALID, AUTHENTICATOR_MISSING, CORS_INVALID, HEADER_INVALID, LIMIT_INVALID, MOUNT_INVALID, CSRF_INVALID, INSPECT_INVALID. */
export function createGateway(options: GatewayOptions): Gateway {
  const clock = options.clock ?? systemClock;
  const limits = resolveLimits(options.limits ?? {}, options.mode);
  const cors = options.cors && compileCors(options.cors);
  const headers = new Map([...resolveHeaders(options.headers ?? {}), ...Object.entries(cors?.always ?? {})]);
  const compression = compileCompression(options.compression);
  const { quotas, onUnauthenticated, replacePlans } = compileQuotas(options, clock);
  const protection = compileProtection(options, clock);
  const known = { clock, limits, cors, headers, onUnauthenticated, inspectBody: protection.body };
  const edge = createEdge(options, known, (status) => brokenObserver(status, 0));
  const metrics = createEdgeMetrics(options.metrics, () => edge.inFlight + edge.streams);
  const brokenObserver = metrics.observe("_OTHER", "");
  const table = createRouteTable(limits.urlLength, options.hosts);
  const { host, port, random = systemRandom } = options;
  const splits = createSplits(options.serviceSplits ?? {}, random, options.metrics);
  const parts = {
    router: table.at(undefined),
    metrics,
    settings: { ...limits, headers, compression },
    authenticator: options.authenticator,
    quotas,
    overload: options.overload,
    protect: protection.step,
    splits,
    deprecations: createDeprecations(options.metrics),
    versions: { vendor: options.versions?.vendor ?? "api", fallback: options.versions?.default },
  };
  addRoutes(options.routes, parts);
  addPages(options.pages ?? [], parts);
  const outside = addOutside(options.outside ?? {}, {
    table,
    metrics,
    allMetrics: options.metrics,
    deadlineMs: limits.deadlineMs,
    vary: headers.get("vary"),
    clock,
    random,
    log: options.log,
    newId: createIds(clock, random),
    admissionOf: (route) => compileOutsideAdmission(parts, route),
  });
  table.compile();

  const mounts = compileMounts(options.mounts ?? [], parts);
  const fallbacks = createFallbacks({ mounts, metrics, headers, cors });
  const dispatcher = createDispatcher({ edge, table, fallbacks, prefix: checkPrefix(options.prefix ?? "") });
  const takesUpgrades = outside.routes.some(({ route }) => route.websocket !== undefined);
  const server = createGatewayServer({
    edge,
    dispatcher,
    host,
    port,
    random,
    takesUpgrades,
    tls: options.tls,
    metrics: options.metrics,
  });
  return Object.assign(server, {
    outside: { ...outside, splits: new Map([...outside.splits, ...splits]) },
    maintenance: edge.maintenance,
    replacePlans,
    handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) =>
      dispatcher.dispatch(req, res, false, next),
  });
}

type EdgeFacts = Pick<Edge, "clock" | "limits" | "cors" | "onUnauthenticated" | "inspectBody"> & {
  readonly headers: ReadonlyMap<string, string>;
};

/** What all requests share, as it is before the first. */
function createEdge(options: GatewayOptions, facts: EdgeFacts, observeBroken: Edge["observeBroken"]): Edge {
  const { clock, limits, cors, headers, onUnauthenticated, inspectBody } = facts;
  return {
    clock,
    deadlines: createDeadlines(clock),
    log: options.log,
    accessLog: options.accessLog,
    tracer: options.tracer,
    limits,
    challenge: options.authenticator?.challenge ?? createChallenge({ realm: checkRealm(options.realm ?? "api") }),
    cors,
    quick: new QuickAnswers(clock, limits.keepAliveMs),
    clientOf: compileClientOf(compileTrustedProxies(options.trustedProxies)),
    credentialHeaders: credentialHeadersOf(options.authenticator),
    onUnauthenticated,
    refusalHead: headTemplate(headers, { "content-type": problemContentType, "cache-control": "no-store" }),
    hsts: headers.get("strict-transport-security"),
    connections: new Connections(),
    stalledClients: new StalledClients(clock, limits),
    overload: options.overload,
    observeBroken,
    inFlight: 0,
    streams: 0,
    isOpen: false,
    draining: false,
    maintenance: createMaintenance(),
    requiresHttps: options.requiresHttps === true,
    inspectBody,
    lastRequestAt: 0,
    onFinish: undefined,
  };
}

function checkRealm(realm: string): string {
  if (/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(realm)) return realm;
  throw wrongGateway(
    "HEADER_INVALID",
    'gateway: realm: use 1 to 100 ASCII characters without quotes and backslashes, such as "shop".',
  );
}

function checkPrefix(prefix: string): string {
  if (prefix === "" || /^(?:\/[A-Za-z0-9._~-]+)+$/.test(prefix)) return prefix;
  throw wrongGateway(
    "ROUTE_INVALID",
    `gateway: prefix ${JSON.stringify(prefix)}: it begins with "/" and does not end with it, such as "/api".`,
  );
}
