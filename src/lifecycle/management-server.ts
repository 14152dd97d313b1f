import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Clock, PlinthError } from "../base/index.ts";
import { error, systemClock, toPlinthError } from "../base/index.ts";
import type { Logger, RenderedMetrics } from "../telemetry/index.ts";
import { HttpError, problemContentType, stringifyProblem, toProblem } from "../wire/index.ts";
import { wrongPath } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { listen } from "./listen.ts";

/**
 * The port for operators and orchestrators, apart from the one for the public:
 *
 * - `/livez`: 200 as long as the event loop answers. Says nothing of dependencies: restarting would not mend them.
 * - `/startupz`: 200 once the start is through, 503 before.
 * - `/readyz`: 200 when traffic may come, 503 with the reasons when not. 503 from the first moment of a stop.
 * - `/metrics`: for a scraper, in the format its `Accept` header prefers.
 * - `handlers`: further pages to read. Nothing here changes anything: GET and HEAD only, 405 otherwise.
 *
 * It has no authentication: bind it to 127.0.0.1 or to a network that only operators reach. Start it before the
 * lifecycle and stop it after, so that probes get answers all the time.
 *
 * Limits: headers within 5 s, a request within 10 s, 64 connections, headers of 16 KiB, a handler 5 s (504 then). Bodies
 * are not read. Every error is `application/problem+json`.
 */
export interface ManagementServer {
  /** Listens. StartError `PORT_IN_USE` and the others of `listen`. */
  start(): Promise<{ readonly port: number }>;
  /** Takes no more connections, and ends those that are open after 1 s at the latest. */
  stop(): Promise<void>;
  /** 0 before it listens. */
  readonly port: number;
}

export interface ManagementRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export interface ManagementAnswer {
  /** Default 200. */
  readonly status?: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

export type ManagementHandler = (request: ManagementRequest) => ManagementAnswer | Promise<ManagementAnswer>;

export interface ManagementServerOptions {
  /** Default "127.0.0.1". */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  readonly lifecycle: Pick<Lifecycle, "state" | "readiness">;
  /** The metrics: `(accept) => metrics.render(accept)`. */
  readonly render: (accept: string | undefined) => Promise<RenderedMetrics>;
  /** By exact path, such as "/debug/spans". */
  readonly handlers?: Readonly<Record<string, ManagementHandler>>;
  readonly log?: Pick<Logger, "error">;
  readonly clock?: Clock;
  /** The name of the setting behind `port`, for messages. Default "MANAGEMENT_PORT". */
  readonly portSetting?: string;
}

const handlerMsMax = 5000;
const closeMsMax = 1000;
const connectionsMax = 64;

export function createManagementServer(options: ManagementServerOptions): ManagementServer {
  const clock = options.clock ?? systemClock;
  const pages = pagesOf(options);
  const server = createServer(
    {
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 * 1024,
    },
    (request, response) => {
      void answer(request, response, pages, clock, options.log);
    },
  );
  server.maxConnections = connectionsMax;
  server.on("clientError", refuseBroken);
  let port = 0;

  return {
    get port() {
      return port;
    },
    async start() {
      const host = options.host ?? "127.0.0.1";
      const setting = options.portSetting ?? "MANAGEMENT_PORT";
      port = await listen(server, { host, port: options.port, what: "management", setting });
      return { port };
    },
    stop: () => close(server, clock),
  };
}

function pagesOf({
  lifecycle,
  render,
  handlers = {},
}: ManagementServerOptions): ReadonlyMap<string, ManagementHandler> {
  const ok: ManagementAnswer = { contentType: "text/plain; charset=utf-8", body: "ok\n" };
  const notYet = (state: string, reasons: readonly string[]): PlinthError =>
    error("unavailable", `Not ready: ${reasons.join("; ") || state}.`, {
      reason: "NOT_READY",
      executed: "no",
      details: { state, reasons },
    });
  const pages = new Map<string, ManagementHandler>([
    ["/livez", () => ok],
    [
      "/startupz",
      () => {
        const { state } = lifecycle;
        if (state !== "created" && state !== "starting") return ok;
        throw notYet(state, lifecycle.readiness().reasons);
      },
    ],
    [
      "/readyz",
      () => {
        const { ready, state, reasons } = lifecycle.readiness();
        if (ready) return ok;
        throw notYet(state, reasons);
      },
    ],
    ["/metrics", ({ headers }) => render(headers.accept)],
  ]);
  for (const [path, handler] of Object.entries(handlers)) {
    if (!/^\/[\w./-]*$/.test(path)) throw wrongPath(path, 'write a path like "/debug/spans".');
    if (pages.has(path)) throw wrongPath(path, "this path is taken. Choose another.");
    pages.set(path, handler);
  }
  return pages;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: ReadonlyMap<string, ManagementHandler>,
  clock: Clock,
  log: Pick<Logger, "error"> | undefined,
): Promise<void> {
  // A body is of no use here; a connection that may still bring one is not used again.
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  if (hasBody) response.setHeader("connection", "close");
  try {
    send(request, response, await find(request, pages, clock));
  } catch (thrown) {
    const failure = toPlinthError(thrown);
    if (failure !== thrown) log?.error({ err: thrown, path: request.url }, "a management page failed");
    sendProblem(request, response, failure);
  }
}

async function find(
  request: IncomingMessage,
  pages: ReadonlyMap<string, ManagementHandler>,
  clock: Clock,
): Promise<ManagementAnswer> {
  const target = request.url ?? "";
  const [path = "", search = ""] = split(target);
  const handler = pages.get(path);
  if (!handler) {
    const known = [...pages.keys()].join(", ");
    throw new HttpError(404, "not_found", `There is no such page here. There are: ${known}.`, {
      reason: "PAGE_UNKNOWN",
    });
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new HttpError(405, "unimplemented", "Pages here can only be read.", {
      reason: "PAGE_READ_ONLY",
      headers: { allow: "GET, HEAD" },
    });
  }
  return within(clock, handler({ path, query: new URLSearchParams(search), headers: request.headers }));
}

function split(target: string): [string, string] {
  const at = target.indexOf("?");
  return at === -1 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

function within(clock: Clock, work: ManagementAnswer | Promise<ManagementAnswer>): Promise<ManagementAnswer> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(handlerMsMax, () =>
      reject(error("deadline_exceeded", `The page took longer than ${handlerMsMax} ms.`, { reason: "PAGE_TOO_SLOW" })),
    );
    Promise.resolve(work).then(resolve, reject).finally(cancel);
  });
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body }: ManagementAnswer,
): void {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  response.writeHead(status ?? 200, {
    "content-type": contentType,
    "content-length": bytes.byteLength,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

function sendProblem(request: IncomingMessage, response: ServerResponse, failure: PlinthError): void {
  const problem = toProblem(failure);
  if (failure instanceof HttpError) {
    for (const [name, value] of Object.entries(failure.headers)) response.setHeader(name, value);
  }
  send(request, response, { status: problem.status, contentType: problemContentType, body: stringifyProblem(problem) });
}

const brokenStatus: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "The headers are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "The request took too long to arrive."],
};

/** What is no HTTP, too large or too slow: an answer without a request, and the end of the connection. */
function refuseBroken(thrown: NodeJS.ErrnoException, socket: Socket | NodeJS.WritableStream): void {
  if (!socket.writable || thrown.code === "ECONNRESET") {
    if ("destroy" in socket) socket.destroy();
    return;
  }
  const [status, message] = brokenStatus[thrown.code ?? ""] ?? [400, "This is no HTTP request."];
  const problem = toProblem(new HttpError(status, "invalid_argument", message, { reason: "REQUEST_BROKEN" }));
  const body = stringifyProblem(problem);
  socket.end(
    `HTTP/1.1 ${status} ${problem.title}\r\nconnection: close\r\ncontent-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function close(server: Server, clock: Clock): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = clock.after(closeMsMax, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
