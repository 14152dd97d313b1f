import type { IncomingMessage, ServerResponse } from "node:http";
import type { Call, Clock, Random, StreamCall } from "../base/index.ts";
import { createDeadlines, systemClock, systemRandom } from "../base/index.ts";
import type { Operation } from "../service/index.ts";
import type { AccessLog, Logger, Metrics, Tracer } from "../telemetry/index.ts";
import { problemContentType } from "../wire/index.ts";
import { compileAdmission } from "./admission.ts";
import type { CompressionOptions } from "./compression.ts";
import { compileCompression } from "./compression.ts";
import type { CorsOptions } from "./cors.ts";
import { compileCors } from "./cors.ts";
import { createDispatcher } from "./dispatcher.ts";
import { wrongGateway } from "./errors.ts";
import type { Edge } from "./exchange.ts";
import { createFallbacks } from "./fallback.ts";
import type { HeaderOptions } from "./head.ts";
import { headTemplate, resolveHeaders } from "./head.ts";
import type { GatewayLimits } from "./limits.ts";
import { resolveLimits } from "./limits.ts";
import type { Mount } from "./mount.ts";
import { compileMount } from "./mount.ts";
import type { Page } from "./page.ts";
import { compilePage } from "./page.ts";
import { compileRaw } from "./raw.ts";
import { createRouter } from "./router.ts";
import type { GatewayServer } from "./server.ts";
import { createGatewayServer } from "./server.ts";
import { createEdgeMetrics } from "./signals.ts";
import { compileStreaming } from "./streaming.ts";
import type { TokenVerifier } from "./token-verifier.ts";
import { compileUnary } from "./unary.ts";

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
 * Limits are in `limits.ts`, each with what is answered there. Not here: TLS (a proxy or load balancer ends it), HTTP/2,
 * rate limits, OAuth.
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
  readonly verifier?: TokenVerifier;
  /** Named in `WWW-Authenticate`. Default "api". */
  readonly realm?: string;
  readonly cors?: CorsOptions;
  /** Changes to the headers that every answer has; `false` takes one away. */
  readonly headers?: HeaderOptions;
  readonly limits?: GatewayLimits;
  /** `false` for none. */
  readonly compression?: CompressionOptions | false;
  readonly mounts?: readonly Mount[];
  readonly pages?: readonly Page[];
  /** Taken off the path of each request, for mounting under a path that the outer app leaves on. */
  readonly prefix?: string;
}

export interface GatewayRoute {
  readonly operation: Operation;
  /** For unary methods, and raw ones (`RawRequest` to `RawResponse`). */
  readonly call?: Call;
  readonly stream?: StreamCall;
}

export interface Gateway extends GatewayServer {
  /**
   * For mounting inside an Express, Fastify or `node:http` app: mount it before body parsers. With `next`, a path that is
   * not ours is handed back instead of answered with 404.
   */
  readonly handler: (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
}

/** Throws StartError: ROUTE_COLLISION, ROUTE_INVALID, VERIFIER_MISSING, CORS_INVALID, HEADER_INVALID, LIMIT_INVALID, MOUNT_INVALID. */
export function createGateway(options: GatewayOptions): Gateway {
  const clock = options.clock ?? systemClock;
  const limits = resolveLimits(options.limits ?? {}, options.mode);
  const cors = options.cors && compileCors(options.cors);
  const headers = new Map([...resolveHeaders(options.headers ?? {}), ...Object.entries(cors?.always ?? {})]);
  const compression = compileCompression(options.compression);
  const { verifier } = options;
  const edge: Edge = {
    clock,
    deadlines: createDeadlines(clock),
    log: options.log,
    accessLog: options.accessLog,
    tracer: options.tracer,
    limits,
    realm: checkRealm(options.realm ?? "api"),
    cors,
    refusalHead: headTemplate(headers, { "content-type": problemContentType, "cache-control": "no-store" }),
    inFlight: 0,
    draining: false,
    lastRequestAt: 0,
    onFinish: undefined,
  };
  const metrics = createEdgeMetrics(options.metrics, () => edge.inFlight);
  const settings = { ...limits, headers, compression };
  const router = createRouter(limits.urlLength);

  for (const { operation, call, stream } of options.routes) {
    const { route, id } = operation;
    if (!route) continue;
    const admit = compileAdmission(id, operation.access, verifier);
    const serve = () => {
      if (operation.kind === "stream" && stream) return compileStreaming(operation, route, stream, admit, settings);
      if (operation.kind === "raw" && call) return compileRaw(operation, call, admit, settings);
      if (operation.kind === "unary" && call) return compileUnary(operation, route, call, admit, settings);
      throw wrongGateway(
        "ROUTE_INVALID",
        `${id}: nothing was given that answers it; pass its ${operation.kind === "stream" ? "stream" : "call"}.`,
      );
    };
    const endpoint = {
      route: route.path,
      spanName: `${route.verb} ${route.path}`,
      observe: metrics.observe(route.verb, route.path),
      serve: serve(),
    };
    router.add(route.verb, route.path, endpoint, id);
  }
  for (const page of options.pages ?? []) {
    const endpoint = {
      route: page.path,
      spanName: `GET ${page.path}`,
      observe: metrics.observe("GET", page.path),
      serve: compilePage(page, headers, compression),
    };
    router.add("GET", page.path, endpoint, `the page ${page.path}`);
  }
  router.compile();

  const mounts = (options.mounts ?? []).map((mount) => ({
    path: mount.path,
    endpoint: {
      route: mount.path === "/" ? "/*" : `${mount.path}/*`,
      spanName: `mount ${mount.path}`,
      observe: metrics.observe("_MOUNT", mount.path),
      serve: compileMount(
        mount,
        compileAdmission(`mount "${mount.path}"`, mount.access ?? "authenticated", verifier),
        limits.deadlineMs,
      ),
    },
  }));
  const fallbacks = createFallbacks({ router, mounts, metrics, headers, cors });
  const dispatcher = createDispatcher({ edge, router, fallbacks, prefix: options.prefix ?? "" });
  const server = createGatewayServer({
    edge,
    dispatcher,
    host: options.host,
    port: options.port,
    random: options.random ?? systemRandom,
  });
  return { ...server, handler: (req, res, next) => dispatcher.dispatch(req, res, false, next) };
}

function checkRealm(realm: string): string {
  if (/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(realm)) return realm;
  throw wrongGateway(
    "HEADER_INVALID",
    'gateway: realm: use 1 to 100 ASCII characters without quotes and backslashes, such as "shop".',
  );
}
