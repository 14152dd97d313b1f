import type { Call, StreamCall } from "../base/index.ts";
import type { Operation } from "../service/index.ts";

/** An operation with a route, and what answers it. */
export interface GatewayRoute {
  readonly operation: Operation;
  /** For unary methods, and raw ones (`RawRequest` to `RawResponse`). */
  readonly call?: Call | undefined;
  readonly stream?: StreamCall | undefined;
  /**
   * What answers it checks and transforms the request itself, such as another process: a request whose schema transforms
   * is handed over as it came, once it has been checked. Default false.
   */
  readonly parsesAgain?: boolean;
  /** Shared out between several that answer the same: by the split of this name, in the order of its variants. */
  readonly variants?: { readonly split: string; readonly routes: readonly GatewayRoute[] };
  /** Where it is served. Default: at the path of its operation. */
  readonly at?: readonly ServedAt[];
}

export interface ServedAt {
  readonly path: string;
  /** The versions that it answers there, where media types name them; none: all that no other has. */
  readonly versions?: readonly number[];
}
