import type { Duration, Size } from "../base/index.ts";
import { parseDuration, parseSize, StartError } from "../base/index.ts";

/** Every limit of the edge, with its default. What is answered at each is said beside it. */
export interface GatewayLimits {
  /** Characters of a request's target. Above: 414. Default 8192. */
  readonly urlLength?: number;
  /** Bytes of a request's line and headers together. Above: 431. Default 16 KiB. */
  readonly headerBytes?: Size;
  /** Nesting of a JSON body. Above: 400. Default 64. */
  readonly jsonDepth?: number;
  /**
   * Requests that run or wait to, at the same time. Above: 503 with `Retry-After`, nothing executed. Default 3000. Well below
   * it a process refuses what it has no time for (see Overload).
   */
  readonly inFlight?: number;
  /** Streams that have begun. Above: 503 with `Retry-After`, nothing executed. Default 5000. */
  readonly streams?: number;
  /** Open connections. Above: a new one is closed without an answer. Default 16384. */
  readonly connections?: number;
  /** Requests on one connection; from then on the first that no other follows is answered with `Connection: close`. Default 10000. */
  readonly requestsPerConnection?: number;
  /** Time for a request's headers to arrive. Above: 408. Default 10 s. */
  readonly headersTimeout?: Duration;
  /** Time for a whole request to arrive. Above: 408. Default 30 s. */
  readonly requestTimeout?: Duration;
  /** How often the two above are looked at. Default 1 s. */
  readonly timeoutCheck?: Duration;
  /** How long an idle connection is kept. Longer than a load balancer keeps its own. Default 75 s. */
  readonly keepAlive?: Duration;
  /** How long a client may stand still while an answer waits to be read; then the connection is closed. Default 60 s. */
  readonly stalledClient?: Duration;
  /** Time for a handler, from the moment when the request has arrived. Above: 504. A method's own `deadline` wins. Default 10 s. */
  readonly deadline?: Duration;
  /** The same for a stream, from its first item to its last. Default 10 min. */
  readonly streamDeadline?: Duration;
  /** Pause between the heartbeat comments of server-sent events. Default 15 s. */
  readonly heartbeat?: Duration;
  /** Draining: how long no request must have come before listening ends. Default 2 s in production, else 0. */
  readonly drainQuiet?: Duration;
  /** Draining: how long to wait for that quiet at most. Default 10 s. */
  readonly drainDelay?: Duration;
  /** Draining: how long running requests may take to end before they are cancelled (503). Default 20 s. */
  readonly drainInFlight?: Duration;
}

export interface ResolvedLimits {
  readonly urlLength: number;
  readonly headerBytes: number;
  readonly jsonDepth: number;
  readonly inFlight: number;
  readonly streams: number;
  readonly connections: number;
  readonly requestsPerConnection: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly timeoutCheckMs: number;
  readonly keepAliveMs: number;
  readonly stalledClientMs: number;
  readonly deadlineMs: number;
  readonly streamDeadlineMs: number;
  readonly heartbeatMs: number;
  readonly drainQuietMs: number;
  readonly drainDelayMs: number;
  readonly drainInFlightMs: number;
}

export function resolveLimits(limits: GatewayLimits, mode: "development" | "test" | "production"): ResolvedLimits {
  const problems: string[] = [];
  const wrong = (name: keyof GatewayLimits, remedy: string): number => {
    problems.push(`gateway: limits.${name}: ${JSON.stringify(limits[name])} cannot be; ${remedy}`);
    return 1;
  };
  const count = (name: keyof GatewayLimits, fallback: number): number => {
    const value = limits[name] ?? fallback;
    return Number.isInteger(value) && (value as number) > 0
      ? (value as number)
      : wrong(name, "write a whole number above 0.");
  };
  const bytes = (name: keyof GatewayLimits, fallback: number): number => {
    const value = parseSize(limits[name] ?? fallback);
    return value !== undefined && value >= 1 ? Math.floor(value) : wrong(name, 'write a size such as "16kb".');
  };
  const time = (name: keyof GatewayLimits, fallback: number, min = 1): number => {
    const value = parseDuration(limits[name] ?? fallback);
    return value !== undefined && value >= min ? value : wrong(name, 'write a duration such as "10s".');
  };
  const resolved: ResolvedLimits = {
    urlLength: count("urlLength", 8192),
    headerBytes: bytes("headerBytes", 16 * 1024),
    jsonDepth: count("jsonDepth", 64),
    inFlight: count("inFlight", 3000),
    streams: count("streams", 5000),
    connections: count("connections", 16_384),
    requestsPerConnection: count("requestsPerConnection", 10_000),
    headersTimeoutMs: time("headersTimeout", 10_000),
    requestTimeoutMs: time("requestTimeout", 30_000),
    timeoutCheckMs: time("timeoutCheck", 1000),
    keepAliveMs: time("keepAlive", 75_000),
    stalledClientMs: time("stalledClient", 60_000),
    deadlineMs: time("deadline", 10_000),
    streamDeadlineMs: time("streamDeadline", 600_000),
    heartbeatMs: time("heartbeat", 15_000),
    drainQuietMs: time("drainQuiet", mode === "production" ? 2000 : 0, 0),
    drainDelayMs: time("drainDelay", 10_000, 0),
    drainInFlightMs: time("drainInFlight", 20_000, 0),
  };
  if (problems.length > 0) throw new StartError("LIMIT_INVALID", problems);
  return resolved;
}
