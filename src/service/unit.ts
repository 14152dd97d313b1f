import type { Call, CallScope, Clock, Duration, StreamCall } from "../base/index.ts";
import { assert, error, PlinthError, toMs, toPlinthError } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import { Redeliver } from "../events/index.ts";
import type { Compiled } from "../schema/index.ts";
import type { Metrics, Span, SpanKind, Tracer } from "../telemetry/index.ts";
import { compileAccess } from "./access.ts";
import type { ContextParts } from "./handler-context.ts";
import { compileContext } from "./handler-context.ts";
import type { RawResponse } from "./method.ts";
import type { Operation } from "./operation.ts";
import { isFromOther, passOn } from "./passed-on.ts";
import type { ServiceDefinition } from "./service.ts";

/**
 * A service at work in this process: for each method the pipeline that a call runs through once it is here, holding
 * only the steps that the method needs: access, span, handler, check of the answer, declared errors, metric.
 *
 * A request that reaches `serve` has been checked by whoever brought it: the edge of the process, or the local link.
 * The answer is not yet copied or pruned: that is the link's work, or the edge's serializer's.
 */
export interface ServiceUnit {
  readonly name: string;
  readonly operations: ReadonlyMap<string, Operation>;
  /** By method name. */
  readonly calls: ReadonlyMap<string, Call>;
  readonly streams: ReadonlyMap<string, StreamCall>;
  /** By subscription name: takes one event, in the transaction of its effect. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionCall>;
}

export type SubscriptionCall = (
  payload: unknown,
  delivery: { readonly scope: CallScope; readonly tx: Transaction | undefined; readonly eventId: string },
) => Promise<void>;

export interface UnitOptions extends ContextParts {
  readonly operations: ReadonlyMap<string, Operation>;
  /** Answers are checked against their schema. On in development and test. */
  readonly checkResponses: boolean;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
}

export function createUnit(definition: ServiceDefinition, options: UnitOptions): ServiceUnit {
  const calls = new Map<string, Call>();
  const streams = new Map<string, StreamCall>();
  const measure = createMeasure(options);
  for (const operation of options.operations.values()) {
    const handler = definition.methods[operation.name];
    if (!handler) continue;
    if (operation.kind === "stream") streams.set(operation.name, serveStream(operation, handler, options, measure));
    else calls.set(operation.name, serveCall(operation, handler, options, measure));
  }
  const subscriptions = new Map<string, SubscriptionCall>();
  const contextOf = compileContext(options);
  for (const [name, subscription] of Object.entries(definition.subscriptions)) {
    const serve: SubscriptionCall = (payload, { scope, tx, eventId }) =>
      subscription.handle(payload, contextOf(scope, { tx, eventId, postpone }));
    subscriptions.set(name, serveSubscription(definition.contract.name, name, serve, options, measure));
  }
  return { name: definition.contract.name, operations: options.operations, calls, streams, subscriptions };
}

/** One event taken: its span and its measure, under the method name `on:NAME`. What fails is judged by who delivers. */
function serveSubscription(
  service: string,
  name: string,
  serve: SubscriptionCall,
  { tracer, clock }: UnitOptions,
  measure: Measure,
): SubscriptionCall {
  const observe = measure(service, `on:${name}`);
  const id = `${service}.on:${name}`;
  return async (payload, delivery) => {
    const { scope } = delivery;
    const startedAt = clock.now();
    const outer = scope.trace;
    const span = startSpan(tracer, id, scope, "consumer");
    let code = "ok";
    try {
      await serve(payload, delivery);
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

type Handler = (request: any, context: any) => unknown;
/** Notes the end of a call: how long it took and how it ended. */
type Measure = (service: string, method: string) => (startedAt: number, code: string) => void;

const buckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

function createMeasure({ metrics, clock }: UnitOptions): Measure {
  const histogram = metrics.histogram(
    "rpc_server_call_duration_seconds",
    "Time a method's handler took, by outcome.",
    ["service", "method", "code"],
    buckets,
  );
  return (service, method) => {
    const handles = new Map<string, { observe(value: number): void }>();
    const handleOf = (code: string) => {
      const handle = histogram.with({ service, method, code });
      handles.set(code, handle);
      return handle;
    };
    const ok = handleOf("ok");
    return (startedAt, code) => {
      const seconds = (clock.now() - startedAt) / 1000;
      (code === "ok" ? ok : (handles.get(code) ?? handleOf(code))).observe(seconds);
    };
  };
}

function serveCall(operation: Operation, handler: Handler, options: UnitOptions, measure: Measure): Call {
  const check = compileAccess(operation.access);
  const contextOf = compileContext(options, operation);
  const finishResponse = compileResponse(operation, options.checkResponses);
  const { tracer, clock } = options;
  const observe = measure(operation.service, operation.name);
  const { id } = operation;

  return async (request: unknown, context) => {
    const scope = context as CallScope;
    if (scope.cancelled) throw scope.cancelled;
    check?.(scope.principal);
    const startedAt = clock.now();
    const outer = scope.trace;
    const span = startSpan(tracer, id, scope);
    try {
      const answer = await handler(request, contextOf(scope));
      const response = finishResponse ? finishResponse(answer) : answer;
      span?.end("ok");
      observe(startedAt, "ok");
      return response;
    } catch (thrown) {
      const failure = toDeclared(operation, thrown, options, scope);
      span?.end(failure.code === "internal" || failure.code === "unknown" ? "error" : "ok");
      observe(startedAt, failure.code);
      throw failure;
    } finally {
      // The next attempt of the caller has the same scope, or a child of it: it does not hang under this one.
      scope.trace = outer;
    }
  };
}

/** A span of its own where the trace is recorded, or begins here. In a trace that is not, the parent's ids do as well. */
function startSpan(tracer: Tracer, name: string, scope: CallScope, kind: SpanKind = "server"): Span | undefined {
  if (scope.trace && !scope.trace.sampled) return undefined;
  const span = tracer.start(name, scope.trace, kind);
  scope.trace = span;
  return span;
}

function serveStream(operation: Operation, handler: Handler, options: UnitOptions, measure: Measure): StreamCall {
  const check = compileAccess(operation.access);
  const contextOf = compileContext(options, operation);
  const finishItem = compileResponse(operation, options.checkResponses);
  const observe = measure(operation.service, operation.name);

  return async function* (request: unknown, context) {
    const scope = context as CallScope;
    if (scope.cancelled) throw scope.cancelled;
    check?.(scope.principal);
    const startedAt = options.clock.now();
    const outer = scope.trace;
    const span = startSpan(options.tracer, operation.id, scope);
    let code = "cancelled";
    try {
      for await (const item of handler(request, contextOf(scope)) as AsyncIterable<unknown>) {
        if (scope.cancelled) throw scope.cancelled;
        yield finishItem ? finishItem(item) : item;
      }
      code = "ok";
    } catch (thrown) {
      const failure = toDeclared(operation, thrown, options, scope);
      code = failure.code;
      throw failure;
    } finally {
      span?.end(code === "internal" ? "error" : "ok");
      observe(startedAt, code);
      scope.trace = outer;
    }
  };
}

/** The step after the handler: nothing in production for a native schema, otherwise the check of the answer. */
function compileResponse(operation: Operation, checkResponses: boolean): ((answer: any) => unknown) | undefined {
  if (operation.kind === "raw") return toRawAnswer;
  const { response } = operation;
  if (!response) return () => undefined;
  if (!response.native) return (answer) => parseAnswer(operation, response, answer);
  if (!checkResponses) return undefined;
  return (answer) => {
    if (response.accepts(answer)) return answer;
    throw brokenAnswer(operation, response.violations(answer));
  };
}

function parseAnswer(operation: Operation, response: Compiled, answer: unknown): unknown {
  try {
    return response.parse(answer);
  } catch (thrown) {
    throw brokenAnswer(operation, thrown instanceof PlinthError ? thrown.details : undefined, thrown);
  }
}

function brokenAnswer(operation: Operation, detail: unknown, cause?: unknown): PlinthError {
  return error("internal", "The service gave an answer that breaks its own contract.", {
    reason: "RESPONSE_INVALID",
    detail: { operation: operation.id, violations: detail },
    cause,
  });
}

const utf8 = new TextEncoder();

interface RawAnswer {
  readonly status: number;
  readonly headers: NonNullable<RawResponse["headers"]>;
  readonly body: Uint8Array;
}

function toRawAnswer({ status = 200, headers = {}, body = "" }: RawResponse): RawAnswer {
  if (typeof body !== "string") return { status, headers, body };
  const typed = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
  const type = typed || body === "" ? {} : { "content-type": "text/plain; charset=utf-8" };
  return { status, headers: { ...headers, ...type }, body: utf8.encode(body) };
}

/** Codes that say something about the platform rather than the service: they pass through a caller undeclared. */
const transparent = new Set([
  "cancelled",
  "deadline_exceeded",
  "unavailable",
  "resource_exhausted",
  "aborted",
  "unauthenticated",
  "permission_denied",
]);

/**
 * What a caller may see of what a handler threw: a declared error as it is; a platform error as an answer that came
 * after the handler ran, not to be retried again further up; anything else as `internal`, with the original in the log.
 */
function toDeclared(operation: Operation, thrown: unknown, { log }: UnitOptions, scope: CallScope): PlinthError {
  if (scope.cancelled && (thrown === scope.cancelled || (thrown as Error)?.name === "AbortError"))
    return scope.cancelled;
  if (thrown instanceof PlinthError) {
    const isPlatforms = transparent.has(thrown.code);
    // Declared or not: a failure that another service had is told as one.
    if (isPlatforms && isFromOther(thrown)) return passOn(thrown);
    if (operation.errors.get(thrown.reason) === thrown.code) return thrown;
    if (isPlatforms) return passOn(thrown);
  }
  const failure =
    thrown instanceof PlinthError && thrown.code === "internal"
      ? thrown
      : error("internal", "Something went wrong on our side.", { cause: thrown, executed: "maybe" });
  const fields = { operation: operation.id, err: thrown, ...(failure !== thrown && adviceOn(operation, thrown)) };
  log.with(scope.trace).error(fields, `${operation.id} failed`);
  return failure;
}

/** For whoever reads the log: why an error that somebody raised on purpose went out as `internal`. */
function adviceOn(operation: Operation, thrown: unknown): { readonly advice: string } | undefined {
  if (!(thrown instanceof PlinthError)) return undefined;
  const whose = isFromOther(thrown) ? "a service that it called failed" : "it failed";
  return { advice: `${whose} with "${thrown.reason}"; catch it, or declare it in "errors" of ${operation.id}` };
}
