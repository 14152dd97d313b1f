/**
 * A fault proxy as a process of its own, which shares no event loop with what it disturbs. `spawnFaultProxy` starts it and
 * talks to it over the channel between the two; when that ends, so does this.
 */
import { isError, StartError } from "../../base/index.ts";
import type { FaultProxy, FaultProxyOptions } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";

/** What the parent sends, one at a time. */
export interface ProxyRequest {
  readonly id: number;
  /** A method of FaultProxy, or `start`. */
  readonly method: string;
  readonly args: readonly unknown[];
}

export interface ProxyAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly problems?: readonly string[];
  readonly reason?: string;
}

let proxy: FaultProxy | undefined;

async function answer({ id, method, args }: ProxyRequest): Promise<ProxyAnswer> {
  try {
    if (method === "start") {
      proxy = await createFaultProxy(args[0] as FaultProxyOptions);
      return { id, result: proxy.port };
    }
    const perform = proxy?.[method as keyof FaultProxy];
    if (typeof perform !== "function") throw new TypeError(`a fault proxy has no ${method}`);
    return { id, result: await Reflect.apply(perform, proxy, args) };
  } catch (thrown) {
    if (thrown instanceof StartError) return { id, reason: thrown.reason, problems: thrown.problems };
    return { id, reason: isError(thrown) ? thrown.reason : "FAULT_PROXY_FAILED", problems: [String(thrown)] };
  }
}

process.on("message", async (message: ProxyRequest) => {
  const sent = await answer(message);
  process.send?.(sent);
});
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole group; whoever started this ends it.
process.on("SIGINT", () => {});
