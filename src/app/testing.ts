/** For tests of apps: the whole app, or a part, started in the test's own process, with fakes where the test says so. */
import { createServer } from "node:net";
import type { Duration } from "../base/index.ts";
import { newId, systemClock, toMs } from "../base/index.ts";
import { generateTokenSecret } from "../identity/index.ts";
import type { AnyContract, Client } from "../service/index.ts";
import type { App } from "./app.ts";
import { groupsOf, wholeGroup } from "./app.ts";
import type { Addresses, Runtime, RuntimeOptions } from "./runtime.ts";
import { createRuntime } from "./runtime.ts";

export interface TestAppOptions
  extends Pick<RuntimeOptions, "doubles" | "environment" | "inbox" | "settings" | "clock" | "random"> {
  /**
   * `"process"`: everything together, calls go straight. `"groups"`: each placement group apart, calls between them go
   * over RPC, still in this one process. Default `"process"`.
   */
  readonly placement?: "process" | "groups";
}

export interface TestApp {
  /** Address of the gateway: `http://127.0.0.1:45123`. */
  readonly url: string;
  /** A client that calls as the app itself. */
  client<C extends AnyContract>(contract: C): Client<C>;
  /**
   * Resolves when every event has taken effect, as far as it was published before. `except` names subscriptions that are
   * not waited for, such as one that postpones. Throws with what is still under way after 10 s.
   */
  settled(options?: { readonly except?: readonly string[]; readonly timeout?: Duration }): Promise<void>;
  /** Runs one tick of a schedule out of turn: `await running.tick(cart, "sweep")`. Throws when it did not succeed. */
  tick(contract: AnyContract, schedule: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts an app for a test: free ports, a database in memory unless `DATABASE_URL` is among the settings, silent logs.
 * Throws the StartError of a wrong app.
 */
export async function startTestApp(definition: App, options: TestAppOptions = {}): Promise<TestApp> {
  const split = options.placement === "groups" && definition.placement !== undefined;
  const groups = split ? [...groupsOf(definition).keys()] : [wholeGroup];
  const ports = await freePorts(groups.length);
  const tokenKey = generateTokenSecret();
  const memory = `pglite:memory:${newId()}`;
  const runtimes = await Promise.all(
    groups.map((group, i) =>
      createRuntime(definition, {
        ...options,
        group: split ? group : undefined,
        management: false,
        environment: { NODE_ENV: "test", PLINTH_LOG: "silent", ...options.environment },
        settings: {
          port: 0,
          databaseUrl: options.environment?.DATABASE_URL ?? memory,
          rpcSecret: "a secret for tests alone",
          // One for all groups, and no file left behind. A test with a data folder keeps its key there.
          ...(options.settings?.dataFolder === undefined && {
            tokenKey: options.environment?.PLINTH_TOKEN_KEY ?? tokenKey,
          }),
          rpcPort: ports[i] as number,
          addresses: new Map(groups.map((name, j) => [name, [`127.0.0.1:${ports[j]}`]])),
          ...options.settings,
        },
      }),
    ),
  );
  const started = await startAll(runtimes);
  const url = started.find((addresses) => addresses.gateway !== undefined)?.gateway ?? "";
  return {
    url,
    client: (contract) => {
      const home = groupHome(definition, contract.name, split ? groups : []);
      return (runtimes[home] as (typeof runtimes)[number]).client(contract);
    },
    settled: ({ except = [], timeout = "10s" } = {}) => settle(runtimes, except, toMs(timeout)),
    async tick({ name }, schedule) {
      const home = groupHome(definition, name, split ? groups : []);
      const { state, reason } = await (runtimes[home] as Runtime).background.runSchedule(name, schedule);
      if (state !== "done") throw new Error(`${name}.${schedule}: the tick is ${state}${reason ? `: ${reason}` : ""}`);
    },
    async stop() {
      await Promise.all(runtimes.map((runtime) => runtime.stop()));
    },
  };
}

const lookEveryMs = 10;

async function settle(runtimes: readonly Runtime[], except: readonly string[], timeoutMs: number): Promise<void> {
  const endAt = systemClock.now() + timeoutMs;
  for (;;) {
    const found = (await Promise.all(runtimes.map(({ background }) => background.underWay()))).flat();
    const left = found.filter(({ where }) => !except.includes(where));
    if (left.length === 0) return;
    if (systemClock.now() > endAt) {
      const list = left.map(({ where, count }) => `${count} at ${where}`).join(", ");
      throw new Error(`events are still under way after ${timeoutMs} ms: ${list}`);
    }
    await systemClock.sleep(lookEveryMs);
  }
}

/** Starts all, or none: when one fails, those that were started are stopped and its error is thrown. */
async function startAll(runtimes: readonly Runtime[]): Promise<Addresses[]> {
  const outcomes = await Promise.allSettled(runtimes.map((runtime) => runtime.start()));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) {
    await Promise.all(runtimes.map((runtime) => runtime.stop()));
    throw failed.reason;
  }
  return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
}

/** The place of the group that a service lives in. */
function groupHome(definition: App, service: string, groups: readonly string[]): number {
  const at = groups.findIndex((group) => groupsOf(definition).get(group)?.includes(service));
  return Math.max(at, 0);
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
