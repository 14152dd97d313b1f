import type { Balance } from "../balancing/index.ts";
import type { Duration, Size } from "../base/index.ts";
import type { Egress, HttpTls } from "../http/index.ts";

/** What an upstream is made with. Plain values, so that it may come from code or from a configuration file. */
export interface UpstreamOptions {
  /** `"http://orders:8080"`, `"https://a.example"`; without a path. A name stands for all its addresses. At least one. */
  readonly targets: readonly (string | UpstreamTarget)[];
  /**
   * How a target is chosen. `"p2c"` (default): of two at random the one with the smaller latency (peak EWMA) times load.
   * `"least-request"`: of two at random the one with fewer requests for its weight. `"round-robin"`, `"weighted"`: in turn.
   * `"hash"`: by the request's key, with bounded load.
   */
  readonly balance?: Balance;
  /** Where this process runs: targets of the same zone are taken first. */
  readonly zone?: string;
  /** How long a target that is new or has come back takes to get its full share. Default 30 s; 0: at once. */
  readonly slowStart?: Duration;
  /** Asks each target itself. Default: not. */
  readonly health?: HealthOptions | false;
  /** Leaves a target alone for a while when requests to it fail. On by default. */
  readonly outliers?: OutlierOptions | false;
  /** Tries again where that is safe. On by default. */
  readonly retry?: UpstreamRetryOptions | false;
  /** A second try beside the first when that is slow, for idempotent requests, within the budget of `retry`. */
  readonly hedge?: { readonly after: Duration } | false;
  /** Answers 503 at once while most requests fail, whatever the target. On by default. */
  readonly breaker?: UpstreamBreakerOptions | false;
  readonly limits?: UpstreamLimits;
  /** The `Host` that the target sees: its own (default), or the client's. */
  readonly host?: "target" | "client";
  readonly tls?: HttpTls;
  /** Default: public, private and loopback addresses, for they are declared here and chosen by nobody else. */
  readonly egress?: Egress;
}

export interface UpstreamTarget {
  readonly url: string;
  /** 1 to 1000. Default 1. Heeded by every way of balancing but `round-robin`. */
  readonly weight?: number;
  readonly zone?: string;
}

export interface HealthOptions {
  /** `"/healthz"`. */
  readonly path: string;
  /** Default 10 s, give or take 10 %. */
  readonly interval?: Duration;
  /** Of a target that does not answer well. Default 3 s. */
  readonly unhealthyInterval?: Duration;
  /** Default 2 s. */
  readonly timeout?: Duration;
  /** Failures in a row until it is unhealthy. Default 3. */
  readonly unhealthyAfter?: number;
  /** Successes in a row until it is healthy again. Default 2. */
  readonly healthyAfter?: number;
  /** The `Host` to ask with. Default: the target's. */
  readonly host?: string;
}

export interface OutlierOptions {
  /** Ejected after so many failures in a row: no answer, or 5xx. Default 5. */
  readonly consecutiveFailures?: number;
  /** Ejected when more than this part of its requests failed between two looks, and of those to others less than half of that. Default 0.2. */
  readonly failureRatio?: number;
  /** ... of at least so many. Default 20. */
  readonly callsMin?: number;
  /** How often it is looked. Default 10 s. */
  readonly interval?: Duration;
  /** For how long: this, times how often it was. Default 30 s. */
  readonly ejection?: Duration;
  /** Default 5 min. */
  readonly ejectionMax?: Duration;
  /** Of all targets, but at least one. Default 0.1. */
  readonly ejectedMax?: number;
  /** Ejections are ignored while fewer than this part of the targets can take requests. Default 0.5. */
  readonly panic?: number;
}

export interface UpstreamRetryOptions {
  /** Tries in all. Default 3. */
  readonly attempts?: number;
  /** Answers upon which an idempotent request is tried at another target. Default 500, 502, 503, 504. */
  readonly statuses?: readonly number[];
  /** How long one try may take until its answer begins. Default: as long as there is. */
  readonly tryTimeout?: Duration;
  /** Retries and hedges for each request, in the long run. Default 0.1. */
  readonly budget?: number;
}

export interface UpstreamBreakerOptions {
  /** Default 0.5 of at least 20 requests in 10 s; then 5 s of 503 until one is let through. */
  readonly failureRatio?: number;
  readonly callsMin?: number;
  readonly window?: Duration;
  readonly openFor?: Duration;
}

export interface UpstreamLimits {
  /** Requests under way to all targets. Above: 503. Default 1000. */
  readonly requests?: number;
  /** Requests under way to one target, each on its own connection. Default 256. */
  readonly requestsPerTarget?: number;
  /** Default 1 s. */
  readonly connect?: Duration;
  /** Of an answer's head. Above: 502. Default 16 KiB. */
  readonly answerHeaders?: Size;
  /** Of an answer's body. Above: 502, or broken off when it has begun. Default 1 GiB. */
  readonly answerBody?: Size;
  /** How long an answer may stand still once it has begun. Above: broken off. Default 60 s. */
  readonly stalled?: Duration;
  /** Names are looked up again. Default 5 s. */
  readonly resolve?: Duration;
  /** The longest that `start` waits. Default 3 s. */
  readonly start?: Duration;
  /** Connections with a changed protocol, such as WebSockets. Above: 503. Default 1000. */
  readonly tunnels?: number;
  /** Of a tunnel, without a byte in either direction. Default 5 min. */
  readonly tunnelIdle?: Duration;
  /** Of a tunnel. Default 24 h. */
  readonly tunnelAge?: Duration;
  /** Of a tunnel, in each direction. Faster ones are held back. Default: as fast as it goes. */
  readonly tunnelBytesPerSecond?: Size;
}
