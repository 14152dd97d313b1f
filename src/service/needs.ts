import type { Cache } from "../cache/index.ts";
import type { Database, PartitionDeclarations } from "../database/index.ts";
import type { TokenIssuer } from "../identity/index.ts";
import type { ShardBy, ShardedDatabase } from "../shards/index.ts";
import type { Client } from "./client.ts";
import type { AnyContract } from "./contract.ts";

export type { TokenIssuer };

/**
 * What a service may touch. `needs` is the whole truth: a handler's context holds these and nothing else, and from them
 * come the call graph, the start order and the test doubles.
 */
export interface DatabaseNeed<Tables = any> {
  readonly kind: "database";
  /** Folder of `NNNN-name.sql` files. */
  readonly migrations: URL | undefined;
  readonly shardBy?: undefined;
  /** Tables whose partitions come and go by themselves. */
  readonly partitions?: PartitionDeclarations;
  readonly types?: Tables;
}

/** A database over several servers, by a key. */
export interface ShardedDatabaseNeed<Tables = any> {
  readonly kind: "database";
  readonly migrations: URL | undefined;
  /** Table to the column that holds the key. Tables that are not named are private to each shard. */
  readonly shardBy: ShardBy;
  readonly partitions?: undefined;
  readonly types?: Tables;
}

export interface CacheNeed {
  readonly kind: "cache";
}

export interface SecretNeed {
  readonly kind: "secret";
  readonly name: string;
  readonly description: string | undefined;
}

export interface SettingNeed<T extends string | undefined = string> {
  readonly kind: "setting";
  readonly name: string;
  readonly fallback: T;
  readonly description: string | undefined;
}

export interface TokensNeed {
  readonly kind: "tokens";
}

export type Need =
  | DatabaseNeed
  | ShardedDatabaseNeed
  | CacheNeed
  | SecretNeed
  | SettingNeed<string | undefined>
  | TokensNeed
  | AnyContract;
export type Needs = Readonly<Record<string, Need>>;

/** What a need becomes in the context. */
export type Handle<N> =
  N extends ShardedDatabaseNeed<infer Tables>
    ? ShardedDatabase<Tables>
    : N extends DatabaseNeed<infer Tables>
      ? Database<Tables>
      : N extends CacheNeed
        ? Cache
        : N extends SecretNeed
          ? string
          : N extends SettingNeed<infer T>
            ? T extends undefined
              ? string | undefined
              : string
            : N extends TokensNeed
              ? TokenIssuer
              : N extends AnyContract
                ? Client<N>
                : never;

export type Handles<N> = { readonly [K in keyof N]: Handle<N[K]> };

/**
 * A database of the service's own: a schema that no other service sees. `Tables` types `db.query` (Kysely). With `shardBy`
 * its tables are spread by a key over the servers that the app is given (`DATABASE_SHARDS`), and `db.at(key)` is the
 * database of one key; with one server, all keys live there and the code is the same. With `partitions` the platform
 * makes the partitions of tables that a migration declares partitioned, and drops those whose time is over:
 * `{ visits: { range: "at", every: "1 day", keep: "90d" } }`.
 */
export function database<Tables = any>(options: {
  readonly migrations: URL;
  readonly shardBy: ShardBy;
}): ShardedDatabaseNeed<Tables>;
export function database<Tables = any>(options?: {
  readonly migrations?: URL;
  readonly partitions?: PartitionDeclarations;
}): DatabaseNeed<Tables>;
export function database({ migrations, shardBy, partitions }: DatabaseOptions = {}): Need {
  if (shardBy) return { kind: "database", migrations, shardBy };
  return { kind: "database", migrations, ...(partitions && { partitions }) };
}

interface DatabaseOptions {
  readonly migrations?: URL;
  readonly shardBy?: ShardBy;
  readonly partitions?: PartitionDeclarations;
}

/** A cache of the service's own. */
export function cache(): CacheNeed {
  return { kind: "cache" };
}

/** A secret from the environment. The app does not start without it; its value never reaches a log. */
export function secret(name: string, description?: string): SecretNeed {
  return { kind: "secret", name, description };
}

/** A setting from the environment, with what holds when it is not set. */
export function setting<const T extends string | undefined = undefined>(
  name: string,
  options: { readonly default?: T; readonly description?: string } = {},
): SettingNeed<T> {
  return { kind: "setting", name, fallback: options.default as T, description: options.description };
}

/** Signs tokens with the app's own key, for the service that signs people in. */
export function tokens(): TokensNeed {
  return { kind: "tokens" };
}
