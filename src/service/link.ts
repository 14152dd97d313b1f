import type { Call, JsonSchema, StreamCall } from "../base/index.ts";
import { lazyStream } from "./lazy-stream.ts";
import type { Operation } from "./operation.ts";
import type { ServedCall } from "./unit.ts";

/**
 * How a call gets from a caller to a method: straight when both are in this process, over RPC or HTTP when not. The
 * meaning is the same: what arrives is a copy, what comes back is a copy, and undeclared fields do not travel.
 */
export interface Link {
  readonly call: Call | undefined;
  readonly stream: StreamCall | undefined;
}

/**
 * The link to a method in this process. `checked` leaves the request as it is, for callers that have just parsed it
 * themselves (the gateway) and give up their hold on it.
 */
export function createLocalLink(
  operation: Operation,
  serve: { readonly call: ServedCall | undefined; readonly stream: StreamCall | undefined },
  options: { readonly checkRequests: boolean; readonly fresh: boolean },
): Link {
  if (options.fresh) return serve;
  const { request, response } = operation;
  // A foreign schema may transform, and defaults are filled in by parse; otherwise what is trusted is only copied.
  const parses = options.checkRequests || !request.native || hasDefaults(request.jsonSchema);
  const take = parses ? request.parse : request.copy;
  const give = response ? response.copy : returnNothing;
  const { call, stream } = serve;
  return {
    call: call && chain(take, call, give),
    stream: stream && ((message, context) => lazyStream({ open: () => stream(take(message), context), give })),
  };
}

/** Not an async function: each call would pay for its frame. */
function chain(take: (message: any) => unknown, call: ServedCall, give: (answer: any) => unknown): Call {
  return (message, context) => {
    let request: unknown;
    try {
      request = take(message);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    return call(request, context, give);
  };
}

function hasDefaults(schema: JsonSchema): boolean {
  return JSON.stringify(schema).includes('"default":');
}

function returnNothing(): undefined {
  return undefined;
}
