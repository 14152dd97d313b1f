import { type LoadReport, Shooter, type Shot, type ShotOptions } from "./open-loop-shots.ts";

export type { LoadReport, Moment } from "./open-loop-shots.ts";
export type { RouteReport } from "./open-loop-tally.ts";

/**
 * An open model: requests come at a rate, whatever becomes of those before. A server that is slow gets no fewer of them, as
 * it would from a closed loop, and durations count from the moment when a request was meant to be sent, also when there was
 * no connection for it (no coordinated omission).
 *
 * HTTP/1.1 over plain sockets or TLS, kept connections, one request at a time on each. It takes about 15 µs of a core for a
 * request: give it one of its own (`runLoadApart`). What it could not send in time is told (`lateMs`).
 */
export interface LoadPlan extends Omit<ShotOptions, "draw" | "onCount"> {
  /** `"http://127.0.0.1:8080"`. */
  readonly url: string;
  readonly routes: readonly LoadRoute[];
  /**
   * So many connections are opened, and used once, before the run: clients of a service that has been there for a while.
   * Default 0: all come as they are needed, of which a Node server takes in one for each turn of its loop.
   */
  readonly warmConnections?: number;
}

export interface LoadRoute {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Its share, beside those of the others. Default 1. */
  readonly weight?: number;
}

export async function runLoad({ url, routes, warmConnections = 0, ...options }: LoadPlan): Promise<LoadReport> {
  const shooter = new Shooter({ ...options, draw: drawer(url, routes) });
  await shooter.connect(warmConnections);
  return shooter.run();
}

/** One of the routes each time, by their weights. */
function drawer(url: string, routes: readonly LoadRoute[]): () => Shot {
  const { origin, host } = new URL(url);
  const shots = routes.map((route): Shot => ({ name: route.name, origin, bytes: bytesOf(route, host) }));
  let sum = 0;
  const limits = routes.map(({ weight = 1 }) => {
    sum += weight;
    return sum;
  });
  return () => {
    const at = Math.random() * sum;
    return shots[limits.findIndex((limit) => at < limit)] as Shot;
  };
}

/** A whole request as it goes over the wire. */
export function bytesOf({ method = "GET", path, headers = {}, body }: Omit<LoadRoute, "name">, host: string): Buffer {
  const fields = { host, ...headers, ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`);
}
