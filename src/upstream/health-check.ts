import type { Clock, Random } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { HttpPool } from "../http/index.ts";
import type { HealthSettings } from "./upstream-settings.ts";

export interface HealthCheckOptions {
  readonly pool: HttpPool;
  readonly settings: HealthSettings;
  /** What is thought of it before it was asked. */
  readonly isHealthy: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** When it has changed. `why` is for the log. */
  readonly onChange: (isHealthy: boolean, why: string) => void;
}

export interface HealthCheck {
  /** Resolves after the first answer, which counts at once, and goes on. */
  start(): Promise<void>;
  stop(): void;
}

const bodyBytesMax = 64 * 1024;

/** Asks one endpoint from time to time. Healthy is an answer of 2xx or 3xx in time. */
export function createHealthCheck(options: HealthCheckOptions): HealthCheck {
  const { settings, clock, random } = options;
  let isStopped = false;
  let { isHealthy } = options;
  let isFirst = true;
  /** Results in a row that speak against what is thought now. */
  let against = 0;
  let cancelTimer = (): void => {};

  const take = (isGood: boolean, why: string): void => {
    against = isGood === isHealthy ? 0 : against + 1;
    const needed = isFirst ? 1 : isHealthy ? settings.unhealthyAfter : settings.healthyAfter;
    isFirst = false;
    if (against < needed) return;
    against = 0;
    isHealthy = isGood;
    options.onChange(isGood, why);
  };
  const check = async (): Promise<void> => {
    const why = await ask(options);
    if (!isStopped) take(why === undefined, why ?? "it answers again");
  };
  const again = (): void => {
    if (isStopped) return;
    const everyMs = isHealthy && against === 0 ? settings.intervalMs : settings.unhealthyIntervalMs;
    cancelTimer = clock.after(everyMs * (0.9 + 0.2 * random.next()), () => void check().then(again));
  };
  return {
    start: () => check().then(again),
    stop() {
      isStopped = true;
      cancelTimer();
    },
  };
}

/** What is wrong; undefined when it is healthy. */
function ask({ pool, settings, clock }: HealthCheckOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    let bytes = 0;
    let status = 0;
    const end = (why: string | undefined): void => {
      cancelTimer();
      resolve(why);
    };
    let cancelTimer = (): void => {};
    const exchange = pool.send(
      {
        method: "GET",
        path: settings.path,
        headers: [
          ...(settings.host === undefined ? [] : ["host", settings.host]),
          ...["user-agent", "plinth-health-check", "accept", "*/*"],
        ],
        headTimeoutMs: 0,
        bodyTimeoutMs: 0,
      },
      {
        onHead: (received) => {
          status = received;
        },
        onChunk: (chunk) => {
          bytes += chunk.length;
          if (bytes <= bodyBytesMax) return;
          exchange.cancel(error("cancelled", "This is enough."));
          end(meaningOf(status));
        },
        onEnd: () => end(meaningOf(status)),
        onFailure: (reason) => end(reason.reason),
      },
    );
    cancelTimer = clock.after(settings.timeoutMs, () => {
      const late = `no answer within ${settings.timeoutMs} ms`;
      exchange.cancel(error("deadline_exceeded", late));
      resolve(late);
    });
  });
}

function meaningOf(status: number): string | undefined {
  return status < 400 ? undefined : `status ${status}`;
}
