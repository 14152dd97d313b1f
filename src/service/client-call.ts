import type { Call, CallScope, Clock, PlinthError, Policy, StreamCall } from "../base/index.ts";
import { deadlineExceeded, error, toMs } from "../base/index.ts";
import type { CallOptions, ClientFactory } from "./client.ts";
import { lazyStream } from "./lazy-stream.ts";
import type { Link } from "./link.ts";
import type { Operation } from "./operation.ts";
import { noteFromOther } from "./passed-on.ts";

/** How long a call between services may take when neither the method nor the caller says. */
export const callDeadlineMs = 5_000;
/** The same for a stream, whose items may be a long time coming. */
const streamDeadlineMs = 600_000;

/** What surrounds the calls of one caller to one contract. */
export interface ClientOptions {
  readonly caller: string;
  readonly operations: ReadonlyMap<string, Operation>;
  /** How to get to a method. */
  link(operation: Operation): Link;
  /** Retry, breaker, bulkhead and deadline for a method, outermost first, already composed. */
  policy(operation: Operation): Policy;
  streamPolicy(operation: Operation): (next: StreamCall) => StreamCall;
  readonly clock: Clock;
}

/**
 * Compiles the client of a contract for one caller: for each method one function that makes the scope of the call, and
 * runs the policies around the link. What comes out is bound to each running call of the caller by `ClientFactory`.
 */
export function compileClient(options: ClientOptions): ClientFactory {
  class BoundClient {
    /** Private, because every other name may be a method's. */
    readonly #scope: CallScope;
    constructor(scope: CallScope) {
      this.#scope = scope;
    }
    static scopeOf(client: BoundClient): CallScope {
      return client.#scope;
    }
  }
  for (const operation of options.operations.values()) {
    if (operation.kind === "raw") continue;
    const start = operation.kind === "stream" ? startStream(operation, options) : startCall(operation, options);
    Object.defineProperty(BoundClient.prototype, operation.name, {
      enumerable: true,
      // A getter that binds, so that `const { getProduct } = catalog` and passing a method on both work.
      get(this: BoundClient) {
        const scope = BoundClient.scopeOf(this);
        return (request: unknown, callOptions?: CallOptions) => start(scope, request, callOptions);
      },
    });
  }
  return (scope) => new BoundClient(scope) as unknown as ReturnType<ClientFactory>;
}

function childOf(
  scope: CallScope,
  operation: Operation,
  options: ClientOptions,
  callOptions: CallOptions | undefined,
): CallScope {
  const defaultMs = operation.kind === "stream" ? streamDeadlineMs : callDeadlineMs;
  const limitMs =
    callOptions?.deadline === undefined ? (operation.deadlineMs ?? defaultMs) : toMs(callOptions.deadline);
  const now = options.clock.now();
  if (scope.cancelled) throw scope.cancelled;
  if (scope.deadline <= now) throw deadlineExceeded("no");
  return scope.child({ deadline: now + limitMs, caller: options.caller, idempotencyKey: callOptions?.idempotencyKey });
}

function startCall(operation: Operation, options: ClientOptions) {
  const link = options.link(operation);
  const call: Call = options.policy(operation)(link.call as Call);
  // Not an async function: each call would pay for its frame.
  return (parent: CallScope, request: unknown, callOptions: CallOptions | undefined): Promise<unknown> => {
    let scope: CallScope;
    try {
      scope = childOf(parent, operation, options, callOptions);
    } catch (thrown) {
      // The caller's own time is over: that is no failure of another's.
      return Promise.reject(thrown);
    }
    const fail = (thrown: unknown): never => {
      scope.finish();
      throw noteFromOther(thrown);
    };
    try {
      return call(request ?? {}, scope).then((answer) => {
        scope.finish();
        return answer;
      }, fail);
    } catch (thrown) {
      return Promise.reject(thrown).catch(fail);
    }
  };
}

function startStream(operation: Operation, options: ClientOptions) {
  const link = options.link(operation);
  const stream = options.streamPolicy(operation)(link.stream as StreamCall);
  return (parent: CallScope, request: unknown, callOptions: CallOptions | undefined): AsyncIterable<unknown> => {
    let scope: CallScope | undefined;
    return lazyStream({
      open() {
        scope = childOf(parent, operation, options, callOptions);
        return stream(request ?? {}, scope);
      },
      give: (item) => item,
      fail: (thrown) => (scope ? noteFromOther(thrown) : thrown),
      onLeave: () => scope?.cancel(streamLeft()),
      onEnd: () => scope?.finish(),
    });
  };
}

function streamLeft(): PlinthError {
  return error("cancelled", "The caller left the stream.", { reason: "STREAM_LEFT" });
}
