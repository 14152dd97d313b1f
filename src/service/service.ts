import type { Duration } from "../base/index.ts";
import type { InferInput, Schema } from "../schema/index.ts";
import type { MethodContext, RawContext, ScheduleContext, SubscriptionContext } from "./context.ts";
import type { AnyContract } from "./contract.ts";
import type { EventDefinition, Payload } from "./event.ts";
import type { RawMethod, RawRequest, RawResponse, RequestOf, StreamMethod, UnaryMethod } from "./method.ts";
import type { Need, Needs } from "./needs.ts";
import type { ResourceLoader } from "./object-access.ts";
import type { OnceOf } from "./once.ts";
import type { Resource, ResourceValue } from "./resource.ts";

/**
 * The implementation of a contract, and everything it may touch.
 *
 * A handler is `(request, context) => Promise<response>`. `context` holds what `needs` named plus the facts of the call;
 * there is no other way to reach anything. The same definition runs beside its callers or in a process of its own.
 */
type ResponseOf<R> = R extends Schema ? InferInput<R> : void;

export type Handler<M, C extends AnyContract, N> =
  M extends UnaryMethod<infer Q, infer R, infer E, infer K, infer X>
    ? (request: RequestOf<Q>, context: MethodContext<C, N, E> & OnceOf<N, K> & FoundOf<X>) => Promise<ResponseOf<R>>
    : M extends StreamMethod<infer Q, infer I, infer E, infer X>
      ? (request: RequestOf<Q>, context: MethodContext<C, N, E> & FoundOf<X>) => AsyncIterable<InferInput<I>>
      : M extends RawMethod<infer X>
        ? (request: RawRequest, context: RawContext<C, N> & FoundOf<X>) => Promise<RawResponse>
        : never;

/** `context.resource` of a handler whose access rule names one. */
type FoundOf<X> = X extends Resource<string, infer V> ? { readonly resource: V } : {};

/** The resources that the methods of a contract name. */
type ResourceIn<M> =
  M extends UnaryMethod<any, any, any, any, infer X>
    ? X
    : M extends StreamMethod<any, any, any, infer X>
      ? X
      : M extends RawMethod<infer X>
        ? X
        : never;

/** The requests of the methods that name the resource `Name`. */
type AskedBy<M, Name> =
  M extends UnaryMethod<infer Q, any, any, any, Resource<Name & string>>
    ? RequestOf<Q>
    : M extends StreamMethod<infer Q, any, any, Resource<Name & string>>
      ? RequestOf<Q>
      : M extends RawMethod<Resource<Name & string>>
        ? RawRequest
        : never;

export type ResourcesOf<C extends AnyContract, N> = {
  readonly [X in Extract<ResourceIn<C["methods"][keyof C["methods"]]>, Resource> as X["name"]]: (
    request: AskedBy<C["methods"][keyof C["methods"]], X["name"]>,
    context: RawContext<C, N>,
  ) => Promise<ResourceValue<X> | null | undefined> | ResourceValue<X> | null | undefined;
};

export interface SubscriptionOptions {
  /** Attempts after the first, and how long to wait before each. Default 1 s, 5 s, 30 s, 2 min, 10 min; then a dead letter. */
  readonly retries?: readonly Duration[];
  /** Events handled at a time. Default 8. Events of one key are handled one after the other. */
  readonly concurrency?: number;
  /** How long one attempt may take. Default 30 s. */
  readonly deadline?: Duration;
}

export interface Subscription<E, C extends AnyContract, N> extends SubscriptionOptions {
  readonly event: E;
  handle(payload: Payload<E>, context: SubscriptionContext<C, N>): Promise<void>;
}

/**
 * When a schedule runs: at every whole multiple of `every` since 1970 (UTC), or by `cron`, which means five fields, or
 * six with seconds first, in `timeZone`. Of all processes one runs it, once for each tick.
 */
export type ScheduleTimes =
  | { readonly every: Duration; readonly cron?: never; readonly timeZone?: never }
  | {
      readonly cron: string;
      /** IANA name, such as "Europe/Berlin". Default "UTC". */
      readonly timeZone?: string;
      readonly every?: never;
    };

export interface ScheduleLimits {
  /** How long one attempt may take. Default 30 s. */
  readonly deadline?: Duration;
  /** Attempts after the first, and how long to wait before each. Default 1 s, 5 s, 30 s; then the tick has failed. */
  readonly retries?: readonly Duration[];
  /** Ticks that nobody ran in time, as after an outage: the latest (default), all of them, or none. */
  readonly catchUp?: "latest" | "all" | "none";
}

export type Schedule<C extends AnyContract, N> = ScheduleTimes &
  ScheduleLimits & { handle(context: ScheduleContext<C, N>): Promise<void> };

export interface ServiceOptions<
  C extends AnyContract,
  N extends Needs,
  S extends Readonly<Record<string, EventDefinition>>,
> {
  readonly needs?: N;
  /** How what the contract's access rules name is found, by name: `undefined` when there is none. Runs before the handler, with its context. */
  readonly resources?: ResourcesOf<C, N>;
  readonly methods: { readonly [K in keyof C["methods"]]: Handler<C["methods"][K], C, N> };
  /** By name; the name marks how far the subscription has come, so it stays when the code changes. */
  readonly subscriptions?: { readonly [K in keyof S]: Subscription<S[K], C, N> };
  /** By name; the name marks which ticks have run, so it stays when the code changes. */
  readonly schedules?: Readonly<Record<string, Schedule<C, N>>>;
}

/** A service as the app sees it, its types forgotten. */
export interface ServiceDefinition<C extends AnyContract = AnyContract> {
  readonly kind: "service";
  readonly contract: C;
  readonly needs: Readonly<Record<string, Need>>;
  readonly methods: Readonly<Record<string, (request: any, context: any) => unknown>>;
  readonly resources: Readonly<Record<string, ResourceLoader>>;
  readonly subscriptions: Readonly<
    Record<
      string,
      SubscriptionOptions & { readonly event: EventDefinition; handle(payload: any, context: any): Promise<void> }
    >
  >;
  readonly schedules: Readonly<
    Record<string, ScheduleTimes & ScheduleLimits & { handle(context: any): Promise<void> }>
  >;
}

/** Implements a contract. */
export function service<
  C extends AnyContract,
  N extends Needs = {},
  S extends Readonly<Record<string, EventDefinition>> = {},
>(contract: C, options: ServiceOptions<C, N, S>): ServiceDefinition<C> {
  return {
    kind: "service",
    contract,
    needs: options.needs ?? {},
    methods: options.methods as ServiceDefinition["methods"],
    resources: (options.resources ?? {}) as ServiceDefinition["resources"],
    subscriptions: (options.subscriptions ?? {}) as unknown as ServiceDefinition["subscriptions"],
    schedules: options.schedules ?? {},
  };
}
