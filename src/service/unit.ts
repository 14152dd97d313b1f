import type { Call, CallScope, Clock, StreamCall } from "../base/index.ts";
import { error, PlinthError } from "../base/index.ts";
import type { Cache } from "../cache/index.ts";
import type { Compiled } from "../schema/index.ts";
import type { Metrics, Tracer } from "../telemetry/index.ts";
import { compileAccess } from "./access.ts";
import type { ScheduleCall, SubscriptionCall } from "./background.ts";
import { compileBackground } from "./background.ts";
import type { ContextFactory, ContextParts } from "./handler-context.ts";
import { compileContext } from "./handler-context.ts";
import type { Keeper } from "./idempotency.ts";
import { keepAnswers } from "./idempotency.ts";
import type { Measure } from "./measure.ts";
import { createMeasure, startSpan } from "./measure.ts";
import type { RawResponse } from "./method.ts";
import type { ObjectAccess, ResourceLoader } from "./object-access.ts";
import { compileObjectAccess } from "./object-access.ts";
import type { Operation } from "./operation.ts";
import { isFromOther, passOn } from "./passed-on.ts";
import type { Handle } from "./response-cache.ts";
import { cacheResponses } from "./response-cache.ts";
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
  readonly calls: ReadonlyMap<string, ServedCall>;
  readonly streams: ReadonlyMap<string, StreamCall>;
  /** By subscription name: takes one event, in the transaction of its effect. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionCall>;
  /** By schedule name: runs one tick, in the transaction that remembers it. */
  readonly schedules: ReadonlyMap<string, ScheduleCall>;
}

/** A call that hands its answer out through `give`, when there is one: a step of its own would be a promise more. */
export type ServedCall = (...args: [...Parameters<Call>, give?: (answer: any) => unknown]) => Promise<unknown>;

export interface UnitOptions extends ContextParts {
  readonly operations: ReadonlyMap<string, Operation>;
  /** Answers are checked against their schema. On in development and test. */
  readonly checkResponses: boolean;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
  /** Where answers of methods with `cache:` are kept. Without it they are made each time. */
  readonly responses?: Cache | undefined;
  /** Where answers to calls with an idempotency key are kept. Needed by services with such methods. */
  readonly keeper?: Keeper | undefined;
}

/** The options, and what the definition adds. */
interface UnitParts extends UnitOptions {
  readonly resources: Readonly<Record<string, ResourceLoader>>;
}

export function createUnit(definition: ServiceDefinition, options: UnitOptions): ServiceUnit {
  const calls = new Map<string, ServedCall>();
  const streams = new Map<string, StreamCall>();
  const measure = createMeasure(options);
  const parts = { ...options, resources: definition.resources };
  for (const operation of options.operations.values()) {
    const handler = definition.methods[operation.name];
    if (!handler) continue;
    if (operation.kind === "stream") streams.set(operation.name, serveStream(operation, handler, parts, measure));
    else calls.set(operation.name, serveCall(operation, handler, parts, measure));
  }
  return {
    name: definition.contract.name,
    operations: options.operations,
    calls,
    streams,
    ...compileBackground(definition, options, measure),
  };
}

type Handler = (request: any, context: any) => unknown;
function serveCall(operation: Operation, handler: Handler, options: UnitParts, measure: Measure): ServedCall {
  const check = compileAccess(operation.access);
  const plainContextOf = compileContext(options, operation);
  const objects = objectAccessOf(operation, options, plainContextOf);
  const contextOf = objects?.contextOf ?? plainContextOf;
  const finishResponse = compileResponse(operation, options.checkResponses);
  const handle = compileHandle(operation, handler, contextOf, options);
  const { tracer, clock } = options;
  const observe = measure(operation.service, operation.name);
  const { id } = operation;

  return async (request, context, give) => {
    const scope = context as CallScope;
    if (scope.cancelled) throw scope.cancelled;
    check?.(scope.principal);
    if (objects) await objects.admit(request, scope);
    const startedAt = clock.now();
    const outer = scope.trace;
    const span = startSpan(tracer, id, scope);
    let response: unknown;
    try {
      const answer = await handle(request, scope);
      response = finishResponse ? finishResponse(answer) : answer;
      span?.end("ok");
      observe(startedAt, "ok");
    } catch (thrown) {
      const failure = toDeclared(operation, thrown, options, scope);
      span?.end(failure.code === "internal" || failure.code === "unknown" ? "error" : "ok");
      observe(startedAt, failure.code);
      throw failure;
    } finally {
      // The next attempt of the caller has the same scope, or a child of it: it does not hang under this one.
      scope.trace = outer;
    }
    return give ? give(response) : response;
  };
}

function objectAccessOf(operation: Operation, options: UnitParts, contextOf: ContextFactory): ObjectAccess | undefined {
  return compileObjectAccess(operation, {
    resources: options.resources,
    contextOf,
    toFailure: (thrown, scope) => toDeclared(operation, thrown, options, scope),
  });
}

/** The handler, and what is kept of its answers. */
function compileHandle(
  operation: Operation,
  handler: Handler,
  contextOf: ContextFactory,
  { responses, keeper, clock, log }: UnitOptions,
): Handle {
  if (operation.keys && keeper) {
    return keepAnswers(operation, (request, scope, once) => handler(request, contextOf(scope as CallScope, { once })), {
      keeper,
      clock,
      log,
    });
  }
  const work: Handle = (request, scope) => handler(request, contextOf(scope as CallScope));
  return responses ? cacheResponses(operation, work, responses) : work;
}

function serveStream(operation: Operation, handler: Handler, options: UnitParts, measure: Measure): StreamCall {
  const check = compileAccess(operation.access);
  const plainContextOf = compileContext(options, operation);
  const objects = objectAccessOf(operation, options, plainContextOf);
  const contextOf = objects?.contextOf ?? plainContextOf;
  const finishItem = compileResponse(operation, options.checkResponses);
  const observe = measure(operation.service, operation.name);

  return async function* (request: unknown, context) {
    const scope = context as CallScope;
    if (scope.cancelled) throw scope.cancelled;
    check?.(scope.principal);
    if (objects) await objects.admit(request, scope);
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
