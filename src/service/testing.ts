/** For proof only: a service at work with nothing around it but what the test gives. */
import type { CallScope, Clock, ScopeFields } from "../base/index.ts";
import { anonymous, CallScope as Scope, StartError, systemClock } from "../base/index.ts";
import type { Logger, Metrics, Tracer } from "../telemetry/index.ts";
import { createLogger, createMetrics, createTracer } from "../telemetry/index.ts";
import type { ResolvedNeed } from "./handler-context.ts";
import { compileOperations } from "./operation.ts";
import type { ServiceDefinition } from "./service.ts";
import type { ServiceUnit, UnitOptions } from "./unit.ts";
import { createUnit } from "./unit.ts";

export interface TestUnitOptions {
  /** Each need of the service, as a plain value: a fake client, a database, a text. */
  readonly needs?: Readonly<Record<string, unknown>>;
  /** Needs that are made for each call, such as a real client. */
  readonly bound?: Readonly<Record<string, (scope: CallScope) => unknown>>;
  readonly checkResponses?: boolean;
  readonly publish?: UnitOptions["publish"];
  readonly log?: Logger;
  readonly tracer?: Tracer;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
  readonly responses?: UnitOptions["responses"];
  readonly keeper?: UnitOptions["keeper"];
}

/** A unit of `definition` whose needs are the given values. */
export function createTestUnit(definition: ServiceDefinition, options: TestUnitOptions = {}): ServiceUnit {
  const problems: string[] = [];
  const operations = compileOperations(definition.contract, problems);
  if (problems.length > 0) throw new StartError("CONTRACT_INVALID", problems);
  const needs: Record<string, ResolvedNeed> = {};
  for (const [name, value] of Object.entries(options.needs ?? {})) needs[name] = { kind: "value", value };
  for (const [name, bind] of Object.entries(options.bound ?? {})) needs[name] = { kind: "bound", bind };
  return createUnit(definition, {
    operations,
    needs,
    publish: options.publish ?? (async () => {}),
    log: options.log ?? createLogger({ level: "silent" }),
    checkResponses: options.checkResponses ?? true,
    clock: options.clock ?? systemClock,
    tracer: options.tracer ?? createTracer(),
    metrics: options.metrics ?? createMetrics(),
    responses: options.responses,
    keeper: options.keeper,
  });
}

/** The scope of a call that begins here: anonymous, five seconds, no trace, unless told otherwise. */
export function createTestScope(fields: Partial<ScopeFields> = {}): CallScope {
  return new Scope({ principal: anonymous, deadline: systemClock.now() + 5000, caller: "test", ...fields });
}
