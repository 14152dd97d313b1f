import type { CallScope, Clock, Duration } from "../base/index.ts";
import { assert, toMs, toPlinthError } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import { Redeliver } from "../events/index.ts";
import type { Tracer } from "../telemetry/index.ts";
import type { ContextParts } from "./handler-context.ts";
import { compileContext } from "./handler-context.ts";
import type { Measure } from "./measure.ts";
import { startSpan } from "./measure.ts";
import type { ServiceDefinition } from "./service.ts";

/**
 * What a service does without a caller: taking one event, running one tick of a schedule. Each has its span and its
 * measure, under the method name `on:NAME` or `at:NAME`; what fails is judged by whoever brought it.
 */
export type SubscriptionCall = (
  payload: unknown,
  delivery: {
    readonly scope: CallScope;
    readonly tx: Transaction | undefined;
    readonly eventId: string;
    readonly sequence?: number | undefined;
    readonly replayed?: boolean;
  },
) => Promise<void>;

export type ScheduleCall = (tick: {
  readonly scope: CallScope;
  readonly tx: Transaction;
  /** ISO time. */
  readonly scheduledAt: string;
}) => Promise<void>;

export interface Background {
  readonly subscriptions: ReadonlyMap<string, SubscriptionCall>;
  readonly schedules: ReadonlyMap<string, ScheduleCall>;
}

export interface BackgroundParts extends ContextParts {
  readonly clock: Clock;
  readonly tracer: Tracer;
}

export function compileBackground(
  definition: ServiceDefinition,
  options: BackgroundParts,
  measure: Measure,
): Background {
  const { name: service } = definition.contract;
  const contextOf = compileContext(options);
  const observed = (name: string, span: "consumer" | "internal") => observe(service, name, span, options, measure);
  const subscriptions = new Map<string, SubscriptionCall>();
  for (const [name, { handle }] of Object.entries(definition.subscriptions)) {
    const run = observed(`on:${name}`, "consumer");
    subscriptions.set(name, (payload, { scope, replayed = false, ...delivery }) =>
      run(scope, () => handle(payload, contextOf(scope, { ...delivery, replayed, postpone }))),
    );
  }
  const schedules = new Map<string, ScheduleCall>();
  for (const [name, { handle }] of Object.entries(definition.schedules)) {
    const run = observed(`at:${name}`, "internal");
    schedules.set(name, ({ scope, tx, scheduledAt }) =>
      run(scope, () => handle(contextOf(scope, { tx, scheduledAt }))),
    );
  }
  return { subscriptions, schedules };
}

type Observed = (scope: CallScope, work: () => Promise<void>) => Promise<void>;

function observe(
  service: string,
  name: string,
  kind: "consumer" | "internal",
  { tracer, clock }: BackgroundParts,
  measure: Measure,
): Observed {
  const observe = measure(service, name);
  return async (scope, work) => {
    const startedAt = clock.now();
    const outer = scope.trace;
    const span = startSpan(tracer, `${service}.${name}`, scope, kind);
    let code = "ok";
    try {
      await work();
    } catch (thrown) {
      code = thrown instanceof Redeliver ? "postponed" : toPlinthError(thrown).code;
      throw thrown;
    } finally {
      span?.end(code === "ok" || code === "postponed" ? "ok" : "error");
      observe(startedAt, code);
      scope.trace = outer;
    }
  };
}

const postponeMsMax = 24 * 3_600_000;

function postpone(delay: Duration): never {
  const delayMs = toMs(delay);
  assert(delayMs >= 1 && delayMs <= postponeMsMax, `postpone takes 1 ms to one day, not ${delay}`);
  throw new Redeliver(delayMs, { counted: false });
}
