import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { error, StartError } from "../../base/index.ts";
import type { FaultProxy, FaultProxyOptions } from "./proxy.ts";
import { throughProxy } from "./proxy.ts";
import type { ProxyAnswer } from "./proxy-process.ts";

/** What can be told to another process. */
export type SpawnedProxyOptions = Omit<FaultProxyOptions, "clock" | "random"> & {
  /** Node's flags for it, such as those that let it read TypeScript. Default: those of this process, a test's aside. */
  readonly nodeFlags?: readonly string[];
};

export type SpawnedFaultProxy = FaultProxy & { readonly pid: number };

/** Written in TypeScript, and beside this file under the same name when built. */
const source = fileURLToPath(new URL("./proxy-process.ts", import.meta.url));
const entry = import.meta.url.endsWith(".ts") ? source : source.replace(/\.ts$/, ".js");

/** A fault proxy in a process of its own. It ends with `close`, or with this process. */
export async function spawnFaultProxy({ nodeFlags, ...options }: SpawnedProxyOptions): Promise<SpawnedFaultProxy> {
  const flags = nodeFlags ?? process.execArgv.filter((flag) => !flag.startsWith("--test"));
  const child = fork(entry, [], { execArgv: [...flags], stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const waiting = new Map<number, (answer: ProxyAnswer) => void>();
  let lastId = 0;
  let isGone = false;
  const exited = new Promise<void>((resolve) => {
    const leave = (): void => {
      isGone = true;
      for (const [id, settle] of waiting) settle({ id, reason: "FAULT_PROXY_GONE" });
      waiting.clear();
      resolve();
    };
    child.once("exit", leave);
    child.once("error", leave);
  });
  child.on("message", (answer: ProxyAnswer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });

  const ask = async <R>(method: string, ...args: unknown[]): Promise<R> => {
    const id = ++lastId;
    const answer = await new Promise<ProxyAnswer>((resolve) => {
      if (isGone) return resolve({ id, reason: "FAULT_PROXY_GONE" });
      waiting.set(id, resolve);
      child.send({ id, method, args });
    });
    if (answer.reason === "FAULT_PROXY_GONE") {
      throw error("unavailable", "The process of the fault proxy is gone.", { reason: "FAULT_PROXY_GONE" });
    }
    if (answer.reason !== undefined) throw new StartError(answer.reason, answer.problems ?? []);
    return answer.result as R;
  };
  const stop = async (): Promise<void> => {
    if (!isGone) child.disconnect();
    await exited;
  };

  let port: number;
  try {
    port = await ask<number>("start", options);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return {
    host: "127.0.0.1",
    port,
    pid: child.pid as number,
    address: (url) => throughProxy(url, port),
    set: (faults, scope) => ask("set", faults, scope),
    plan: (rule) => ask("plan", rule),
    clear: () => ask("clear"),
    reset: () => ask("reset"),
    halfOpen: (keep) => ask("halfOpen", keep),
    retarget: (target) => ask("retarget", target),
    counts: () => ask("counts"),
    hits: () => ask("hits"),
    async close() {
      if (!isGone) await ask("close");
      await stop();
    },
  };
}
