import type { Transaction } from "../database/index.ts";
import type { Keyed } from "./keyed.ts";
import type { DatabaseNeed, ShardedDatabaseNeed } from "./needs.ts";

/** `context.once` of a handler: there for methods that take keys, of services with a database. */
export type OnceOf<N, K> = K extends "keyed" | Keyed
  ? Extract<N[keyof N], DatabaseNeed | ShardedDatabaseNeed> extends infer D
    ? [D] extends [never]
      ? {}
      : D extends ShardedDatabaseNeed<infer Tables>
        ? { readonly once: ShardedOnceIn<Tables> }
        : D extends DatabaseNeed<infer Tables>
          ? { readonly once: OnceIn<Tables> }
          : {}
    : {}
  : {};

/**
 * Commits an effect together with the answer that repeats will get. It may run again after a conflict. Answer with what
 * it returns. Without a key it is a transaction like any other.
 */
export type OnceIn<Tables> = <R>(effect: (tx: Transaction<Tables>) => Promise<R>) => Promise<R>;
export type ShardedOnceIn<Tables> = <R>(
  effect: (tx: Transaction<Tables>) => Promise<R>,
  place: { readonly at: string },
) => Promise<R>;
