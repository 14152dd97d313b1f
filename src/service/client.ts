import type { CallScope, Duration } from "../base/index.ts";
import type { Infer, InferInput, Schema } from "../schema/index.ts";
import type { AnyContract } from "./contract.ts";
import type { StreamMethod, UnaryMethod } from "./method.ts";

/** What a caller may say about one call. */
export interface CallOptions {
  /** Shorter than the default; never longer than what is left of the caller's own time. */
  readonly deadline?: Duration;
  /** The callee sees it. Makes a repeat harmless where the method is `idempotent: "keyed"`: the call may then be retried. */
  readonly idempotencyKey?: string;
}

type RequestOf<Q> = Q extends Schema ? InferInput<Q> : undefined;
type ResponseOf<R> = R extends Schema ? Infer<R> : void;
type Arguments<Q> = Q extends Schema
  ? [request: InferInput<Q>, options?: CallOptions]
  : [request?: undefined, options?: CallOptions];

export type ClientMethod<M> =
  M extends UnaryMethod<infer Q, infer R, any>
    ? (...args: Arguments<Q>) => Promise<ResponseOf<R>>
    : M extends StreamMethod<infer Q, infer I, any>
      ? (...args: Arguments<Q>) => AsyncIterable<Infer<I>>
      : never;

/** The methods of a contract as functions: what a service gets for a contract that its `needs` names. */
export type Client<C extends AnyContract> = {
  readonly [K in keyof C["methods"] as C["methods"][K] extends { kind: "raw" } ? never : K]: ClientMethod<
    C["methods"][K]
  >;
};

/** Makes the client of one running call. */
export type ClientFactory = (
  scope: CallScope,
) => Readonly<Record<string, (request: unknown, options?: CallOptions) => unknown>>;

export type { RequestOf, ResponseOf };
