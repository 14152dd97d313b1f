import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { problemContentType, stringifyProblem, toProblem } from "../../wire/index.ts";
import { plainHttpRefused } from "../errors.ts";
import { startError } from "../server.ts";

/**
 * The port for plain HTTP beside one that speaks TLS. Everything on it is 403 and closes the connection, so that a client
 * which sends its token in the open hears of it at once; only what proves to a certificate authority that this host is
 * ours is answered.
 */
export interface PlainServer {
  /** Throws StartError PORT_IN_USE, PORT_FORBIDDEN or HOST_UNUSABLE. */
  start(): Promise<{ readonly port: number }>;
  stop(): Promise<void>;
}

export interface PlainServerOptions {
  readonly host: string;
  readonly port: number;
  /** The answer to a challenge by its token (RFC 8555, 8.3). */
  readonly challenge?: ((token: string) => Promise<string | undefined>) | undefined;
}

const challengePath = "/.well-known/acme-challenge/";
const timeMs = 5000;

export function createPlainServer({ host, port, challenge }: PlainServerOptions): PlainServer {
  const server: Server = createServer({
    maxHeaderSize: 8 * 1024,
    headersTimeout: timeMs,
    requestTimeout: timeMs,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: 1,
  });
  server.maxConnections = 1000;
  server.maxRequestsPerSocket = 1;
  server.on("clientError", (_fault, socket) => socket.destroy());
  server.on("request", async (req, res) => {
    res.shouldKeepAlive = false;
    const url = req.url ?? "";
    const token = url.startsWith(challengePath) ? url.slice(challengePath.length) : "";
    const isToken = challenge !== undefined && req.method === "GET" && /^[\w-]{1,128}$/.test(token);
    const proof = isToken ? await challenge(token).catch(() => undefined) : undefined;
    if (proof !== undefined) {
      res.writeHead(200, { "content-type": "application/octet-stream", "cache-control": "no-store" });
      res.end(proof);
      return;
    }
    const refusal = plainHttpRefused();
    res.writeHead(refusal.status, { "content-type": problemContentType, "cache-control": "no-store" });
    res.end(stringifyProblem(toProblem(refusal)));
  });
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", (cause: NodeJS.ErrnoException) => reject(startError(cause, host, port)));
        server.listen({ host, port }, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
