import type { Compiled } from "../schema/index.ts";
import type { Access } from "./access.ts";
import type { AnyMethod } from "./method.ts";

/** A method, compiled: everything that could be decided before the first request. */
export interface Operation {
  /** `"catalog.getProduct"`. */
  readonly id: string;
  readonly service: string;
  readonly name: string;
  readonly kind: "unary" | "stream" | "raw";
  readonly definition: AnyMethod;
  readonly route: Route | undefined;
  readonly request: Compiled;
  /** The answer, or one item of the stream. Undefined where nothing is answered (204) and for raw. */
  readonly response: Compiled | undefined;
  readonly access: Access;
  /** The method's own limit, or undefined for the default of whoever calls. */
  readonly deadlineMs: number | undefined;
  readonly idempotent: boolean;
  /** Declared errors: reason to code. */
  readonly errors: ReadonlyMap<string, string>;
  readonly bodyLimitBytes: number;
  /** HTTP status of success. */
  readonly status: number;
  readonly cache: { readonly ttlMs: number; readonly private: boolean } | undefined;
}

export interface Route {
  readonly verb: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `"/products/:id"`. */
  readonly path: string;
  /** Names of the path's parameters, `"*"` for a wildcard. */
  readonly params: readonly string[];
}
