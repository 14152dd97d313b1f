import type { Call, CallScope, Clock, Random, StreamCall } from "../base/index.ts";
import type { Cache } from "../cache/index.ts";
import type { GatewayRoute } from "../gateway/index.ts";
import { deadlineStream } from "../resilience/index.ts";
import type { RpcMethod } from "../rpc/index.ts";
import type {
  AnyContract,
  ClientFactory,
  Keeper,
  Link,
  Need,
  Operation,
  Publish,
  ResolvedNeed,
  ServiceDefinition,
  ServiceUnit,
} from "../service/index.ts";
import { compileClient, createLocalLink, createUnit } from "../service/index.ts";
import type { Logger, Metrics, Tracer } from "../telemetry/index.ts";
import type { CheckedApp } from "./check.ts";
import { servedAt } from "./gateway-routing.ts";
import type { CalleePlace } from "./guards.ts";
import { createGuards } from "./guards.ts";
import { createForgetfulKeeper, takesKeys } from "./idempotency.ts";

/**
 * Puts the members of one process together: a unit for each service that lives here, and for each call a link: straight
 * when the callee is here, over RPC or HTTP when not. Nothing is opened or started; that is the runtime's part.
 */
export interface Wiring {
  readonly units: ReadonlyMap<string, ServiceUnit>;
  /** Every method that the gateway serves, wherever it lives. */
  routes(): readonly GatewayRoute[];
  /** What other processes may call here. */
  rpcMethods(): readonly (RpcMethod & { call?: Call; stream?: StreamCall })[];
  /** A client for tests and tools, that calls as `caller`. */
  client(contract: AnyContract, caller: string): ClientFactory;
}

export interface WiringOptions {
  readonly checked: CheckedApp;
  /** Names of the services that live in this process. */
  readonly members: ReadonlySet<string>;
  /** Requests between services of one process, and answers, are checked against their schemas. */
  readonly check: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly metrics: Metrics;
  /** Where a service keeps answers; undefined where none of its methods is cached. */
  responsesOf(service: string): Cache | undefined;
  /** Fakes that stand in for needs, by service and field. */
  readonly doubles: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** A need that is not a contract, made real. */
  resolve(service: string, field: string, need: Exclude<Need, AnyContract>): ResolvedNeed;
  publisher(service: string): Publish;
  /** Where a service with idempotency keys remembers its answers. */
  keeperOf(service: ServiceDefinition): Keeper;
  /** How to reach a method that lives elsewhere. */
  remoteLink(operation: Operation): Link;
}

export function wire(options: WiringOptions): Wiring {
  const { checked, members, clock } = options;
  const guardOf = createGuards(options);
  const units = new Map<string, ServiceUnit>();

  const serveOf = (operation: Operation): Link | undefined => {
    const unit = units.get(operation.service);
    return unit && { call: unit.calls.get(operation.name), stream: unit.streams.get(operation.name) };
  };
  const placeOf = (name: string): CalleePlace => {
    if (units.has(name)) return "here";
    return checked.app.services.some((each) => each.kind === "external" && each.contract.name === name)
      ? "outside"
      : "peer";
  };
  const linkOf = (operation: Operation, fresh: boolean): Link => {
    const serve = serveOf(operation);
    return serve
      ? createLocalLink(operation, serve, { checkRequests: options.check, fresh })
      : options.remoteLink(operation);
  };
  const client = (contract: AnyContract, caller: string): ClientFactory => {
    // Compiled with the first call: by then every unit is there, whichever calls which.
    let factory: ClientFactory | undefined;
    return (scope) => {
      factory ??= compileClient({
        caller,
        operations: checked.operations.get(contract.name) ?? new Map(),
        link: (operation) => linkOf(operation, false),
        policy: (operation) => guardOf(operation.service).policy(operation, placeOf(operation.service)),
        streamPolicy: (operation) => guardOf(operation.service).stream(),
        clock,
      });
      return factory(scope);
    };
  };

  for (const service of checked.app.services) {
    const { name } = service.contract;
    if (service.kind !== "service" || !members.has(name)) continue;
    units.set(name, createUnit(service, unitOptions(service, options, client)));
  }

  return {
    units,
    client,
    routes: () => checked.served.map(toRoute),
    rpcMethods: () =>
      [...units.values()].flatMap((unit) =>
        [...unit.operations.values()].map((operation) => toRpcMethod(operation, unit)),
      ),
  };

  function toRoute(operation: Operation): GatewayRoute {
    const { call, stream } = linkOf(operation, true);
    const place = placeOf(operation.service);
    const here = place === "here";
    const guard = guardOf(operation.service);
    return {
      operation,
      at: servedAt(checked.app.gateway, operation),
      parsesAgain: !here,
      // The gateway ends a request at its deadline by itself: what stays here needs nothing around it.
      ...(call && { call: here ? call : guard.policy(operation, place)(call) }),
      ...(stream && { stream: (here ? deadlineStream({ clock }) : guard.stream())(stream) }),
    };
  }
}

function unitOptions(
  service: ServiceDefinition,
  options: WiringOptions,
  client: (contract: AnyContract, caller: string) => ClientFactory,
) {
  const { name } = service.contract;
  const needs: Record<string, ResolvedNeed> = {};
  const doubles = options.doubles[name] ?? {};
  for (const [field, need] of Object.entries(service.needs)) {
    if (Object.hasOwn(doubles, field)) needs[field] = { kind: "value", value: doubles[field] };
    else
      needs[field] =
        need.kind === "contract"
          ? { kind: "bound", bind: client(need, name) as (scope: CallScope) => unknown }
          : options.resolve(name, field, need);
  }
  return {
    operations: options.checked.operations.get(name) ?? new Map<string, Operation>(),
    needs,
    publish: options.publisher(name),
    log: options.log.child({ service: name }),
    checkResponses: options.check,
    responses: options.responsesOf(name),
    keeper: keeperFor(service, options),
    clock: options.clock,
    tracer: options.tracer,
    metrics: options.metrics,
  };
}

function keeperFor(service: ServiceDefinition, options: WiringOptions): Keeper | undefined {
  const { name } = service.contract;
  if (!takesKeys(options.checked.operations.get(name))) return undefined;
  const field = Object.keys(service.needs).find((each) => service.needs[each]?.kind === "database");
  const doubles = options.doubles[name];
  if (field !== undefined && doubles && Object.hasOwn(doubles, field)) return createForgetfulKeeper(doubles[field]);
  return options.keeperOf(service);
}

/** The signature of a method as both ends of RPC know it. */
export function toRpcSignature(operation: Operation): RpcMethod {
  return {
    id: operation.id,
    kind: operation.kind === "stream" ? "stream" : "unary",
    request: operation.request.jsonSchema,
    response: operation.response?.outputJsonSchema ?? { type: "null" },
  };
}

function toRpcMethod(operation: Operation, unit: ServiceUnit): RpcMethod & { call?: Call; stream?: StreamCall } {
  const call = unit.calls.get(operation.name);
  const stream = unit.streams.get(operation.name);
  const { parse } = operation.request;
  // The edge of the process: whatever the other side checked, it is checked here again.
  const serve: Call | undefined =
    call &&
    (operation.response
      ? (request, context) => call(parse(request), context)
      : async (request, context) => {
          await call(parse(request), context);
          return null;
        });
  return {
    ...toRpcSignature(operation),
    ...(serve && { call: serve }),
    ...(stream && { stream: (request: unknown, context) => stream(parse(request), context) }),
  };
}
