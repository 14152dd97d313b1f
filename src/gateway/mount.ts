import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duration, PlinthError, Principal } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import type { Access } from "../service/index.ts";
import { clientHeaders, tellsOfClient } from "./client/address-headers.ts";
import { awaitClient, leavePlace } from "./entrance.ts";
import { wrongGateway } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { tellAdded } from "./extras.ts";
import type { RequestScope } from "./request-scope.ts";
import type { Step } from "./step.ts";

/** An existing Express, Fastify or plain `node:http` handler, served under a path of this app. */
export interface Mount {
  /** `"/legacy"`; the handler sees the path without it. `"/"` takes whatever no route of this app takes. */
  readonly path: string;
  /** Who may call. Default `"authenticated"`: a valid token is needed. */
  readonly access?: Access;
  /**
   * `"own"`: the handler reads `Authorization` itself, such as Basic, and the gateway leaves it alone. Only where access is
   * public. Default: what stands there must be good, as everywhere.
   */
  readonly authorization?: "own";
  /** How long the handler may take to begin its answer. Default 10 s; above: 504. */
  readonly deadline?: Duration;
  /** `false`: none of the limits that the app declares for every route. */
  readonly limits?: false;
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void;
}

/** What a mounted handler finds at `req.plinth`. */
export interface MountedCall {
  readonly principal: Principal;
  /** Deadline, signal and trace, for calls that it makes. */
  readonly context: RequestScope;
}

/**
 * A mounted handler keeps its ways: bodies, headers, errors and CORS are its own. From the gateway it has access control,
 * a deadline until its answer begins, the trace (`traceparent` names our span), the access log and the metrics.
 */
export function compileMount(mount: Mount, admit: Step, deadlineMsDefault: number): (exchange: Exchange) => void {
  const prefix = checkPath(mount.path);
  if (mount.authorization === "own" && mount.access !== "public")
    throw wrongGateway(
      "MOUNT_INVALID",
      `mount "${mount.path}": authorization: nobody checks who calls, so access cannot be asked for; write access: "public".`,
    );
  const deadlineMs = mount.deadline === undefined ? deadlineMsDefault : parseDuration(mount.deadline);
  if (!deadlineMs)
    throw wrongGateway("MOUNT_INVALID", `mount "${mount.path}": deadline: write a duration such as "30s".`);

  const proceed = (exchange: Exchange): void => {
    const { req, res } = exchange;
    const scope = exchange.begin(deadlineMs);
    exchange.startReading();
    watchPlace(exchange);
    tellClient(exchange);
    tellAdded(exchange);
    if (exchange.edge.hsts !== undefined) res.setHeader("strict-transport-security", exchange.edge.hsts);
    rewrite(req, prefix, scope);
    // From here on the answer is the handler's to end: the exchange ends with it.
    res.once("finish", () => {
      if (!exchange.isOver) exchange.finish(res.statusCode);
    });
    exchange.onFailure = (failure) => takeOver(exchange, failure);
    exchange.keepOrClose();
    exchange.watchClient();
    const result: unknown = mount.handler(req, res);
    if (result instanceof Promise) result.catch((thrown) => exchange.fail(thrown));
  };
  return (exchange) => admit(exchange, proceed);
}

/** Whether a path lies under a mount. */
export function isUnder(prefix: string, path: string): boolean {
  if (prefix === "/") return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f);
}

/** What a client may have made up of where it comes from, replaced by what is known. */
function tellClient({ req, client }: Exchange): void {
  const { headers, rawHeaders } = req;
  for (const name of Object.keys(headers)) if (tellsOfClient(name)) delete headers[name];
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (tellsOfClient((rawHeaders[i] as string).toLowerCase())) rawHeaders.splice(i, 2);
  }
  const pairs = clientHeaders(client);
  for (let i = 0; i < pairs.length; i += 2) headers[pairs[i] as string] = pairs[i + 1] as string;
  rawHeaders.push(...pairs);
}

/** Its handler reads and writes when it likes; what it waits for from the client is none of its time. */
function watchPlace(exchange: Exchange): void {
  const { req, res, headers, entrance } = exchange;
  if (!entrance) return;
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    awaitClient(exchange);
    req.once("end", () => exchange.entrance?.resume(exchange));
  }
  const { writeHead } = res;
  res.writeHead = (...given: unknown[]) => {
    res.writeHead = writeHead;
    leavePlace(exchange, exchange.edge.clock.now());
    return Reflect.apply(writeHead, res, given);
  };
}

/** A path without its mount's, as `req.url`. */
function rewrite(req: IncomingMessage, prefix: string, scope: RequestScope): void {
  const mounted = req as IncomingMessage & { originalUrl?: string; plinth?: MountedCall };
  mounted.originalUrl ??= req.url as string;
  mounted.plinth = { principal: scope.principal, context: scope };
  if (prefix !== "/") {
    const rest = (req.url as string).slice(prefix.length);
    req.url = rest.startsWith("/") ? rest : `/${rest}`;
  }
  if (!scope.trace) return;
  const traceparent = scope.trace.traceparent();
  req.headers.traceparent = traceparent;
  const at = req.rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === "traceparent");
  if (at === -1) req.rawHeaders.push("traceparent", traceparent);
  else req.rawHeaders[at + 1] = traceparent;
}

/**
 * Called when the exchange failed: the deadline passed, or the process ends. An answer that has begun is left alone. One
 * that has not is ours now, and whatever the handler still says is swallowed: it must not crash on an answer that is gone.
 */
function takeOver(exchange: Exchange, failure: PlinthError): boolean {
  const { res } = exchange;
  if (res.headersSent) return failure.code === "deadline_exceeded";
  exchange.onFailure = undefined;
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  exchange.fail(failure);
  const deaf = () => res;
  Object.assign(res, {
    setHeader: deaf,
    setHeaders: deaf,
    appendHeader: deaf,
    removeHeader: () => {},
    writeHead: deaf,
    flushHeaders: () => {},
    write: () => true,
    end: deaf,
  });
  return true;
}

function checkPath(path: string): string {
  if (path === "/" || /^(?:\/[A-Za-z0-9._~!$&'+,;=@-]+)+$/.test(path)) return path;
  throw wrongGateway(
    "MOUNT_INVALID",
    `mount ${JSON.stringify(path)}: a path begins with "/" and does not end with it, such as "/legacy"; parameters and wildcards are not possible.`,
  );
}
