import { setTimeout as sleep } from "node:timers/promises";
import { readExposition } from "../../src/telemetry/exposition-reader.ts";

/** What the gateway thinks of one target over time, by its own metrics. */
export interface Watch {
  /** Milliseconds from `fromAt` until it was first left out, for whatever reason; undefined when it never was. */
  leftOutAfter(fromAt: number): number | undefined;
  /** ... until it was first back among the others. */
  backAfter(fromAt: number): number | undefined;
  /** Whether its health check found it ill in that time. */
  wasUnhealthy(fromAt: number, toAt: number): boolean;
  stop(): Promise<void>;
}

interface Look {
  readonly at: number;
  readonly state: "available" | "ejected" | "unhealthy";
}

const everyMs = 50;

export function watchTarget(managementPort: number, target: string): Watch {
  const looks: Look[] = [];
  let isOver = false;
  const run = async (): Promise<void> => {
    while (!isOver) {
      const text = await (await fetch(`http://127.0.0.1:${managementPort}/metrics`)).text();
      const metrics = readExposition(text, "prometheus");
      const is = (state: string) => metrics.value("plinth_upstream_targets", { upstream: "desk", target, state }) === 1;
      const state = is("unhealthy") ? "unhealthy" : is("ejected") ? "ejected" : "available";
      looks.push({ at: performance.now(), state });
      await sleep(everyMs);
    }
  };
  const running = run();
  const first = (fromAt: number, isIt: (look: Look) => boolean): number | undefined => {
    const found = looks.find((look) => look.at >= fromAt && isIt(look));
    return found && found.at - fromAt;
  };
  return {
    leftOutAfter: (fromAt) => first(fromAt, ({ state }) => state !== "available"),
    backAfter: (fromAt) => first(fromAt, ({ state }) => state === "available"),
    wasUnhealthy: (fromAt, toAt) => looks.some(({ at, state }) => at >= fromAt && at <= toAt && state === "unhealthy"),
    async stop() {
      isOver = true;
      await running;
    },
  };
}
