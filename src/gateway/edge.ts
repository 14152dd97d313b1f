import type { Clock, Deadlines } from "../base/index.ts";
import type { Challenge } from "../identity/index.ts";
import type { Overload } from "../resilience/index.ts";
import type { AccessLog, Logger, Tracer } from "../telemetry/index.ts";
import type { ClientOf } from "./client/address.ts";
import type { Connections } from "./connection.ts";
import type { Cors } from "./cors.ts";
import type { HeadTemplate } from "./head.ts";
import type { ResolvedLimits } from "./limits.ts";
import type { QuickAnswers } from "./quick-answer.ts";
import type { Maintenance } from "./reload/maintenance.ts";
import type { StalledClients } from "./stalled-client.ts";

/** What all requests of one gateway share. */
export interface EdgeOf<E> {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly accessLog: AccessLog | undefined;
  readonly tracer: Tracer | undefined;
  readonly limits: ResolvedLimits;
  /** What a refused client is told of how to come in. */
  readonly challenge: Challenge;
  readonly cors: Cors | undefined;
  readonly quick: QuickAnswers;
  /** Where a request comes from, as far as that is known for certain. */
  readonly clientOf: ClientOf;
  /** Request headers that say who calls: read here, and passed on to nobody who is not meant to read them too. */
  readonly credentialHeaders: ReadonlySet<string>;
  /** Whether what did not come over TLS is refused. */
  readonly requiresHttps: boolean;
  /** Looks at the body of a request once it is there; throws to refuse it. */
  readonly inspectBody: ((exchange: E, body: Buffer) => void) | undefined;
  /** Hears of each answer with 401. */
  readonly onUnauthenticated: ((exchange: E) => void) | undefined;
  /** The head of every error. */
  readonly refusalHead: HeadTemplate;
  /** `Strict-Transport-Security`, where this host is served with TLS alone. */
  readonly hsts: string | undefined;
  readonly connections: Connections;
  readonly stalledClients: StalledClients;
  /** Whether there is room for one more request. Undefined: there always is. */
  readonly overload: Overload | undefined;
  /** Notes an answer to what never became a request. */
  observeBroken(status: number): void;
  /** Requests that are being answered, streams that have begun not among them. */
  inFlight: number;
  streams: number;
  /** Whether requests are served; before the start and after the end they are refused. */
  isOpen: boolean;
  draining: boolean;
  /** What is closed for the time being. */
  readonly maintenance: Maintenance;
  /** In `clock.now()` milliseconds. */
  lastRequestAt: number;
  /** Called after each request, while the process drains. */
  onFinish: (() => void) | undefined;
}
