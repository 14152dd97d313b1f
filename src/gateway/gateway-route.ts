import type { Call, StreamCall } from "../base/index.ts";
import type { Operation } from "../service/index.ts";

/** An operation with a route, and what answers it. */
export interface GatewayRoute {
  readonly operation: Operation;
  /** For unary methods, and raw ones (`RawRequest` to `RawResponse`). */
  readonly call?: Call | undefined;
  readonly stream?: StreamCall | undefined;
}
