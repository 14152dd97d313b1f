import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** One answer, by this process's clock. */
export interface Answered {
  readonly status: number;
  /** Milliseconds since `performance.timeOrigin`, when it was there. */
  readonly at: number;
  readonly ms: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

export interface Traffic {
  /** In the order of their coming. */
  readonly answers: readonly Answered[];
  readonly startedAt: number;
  /** Resolves when the last request is answered. */
  stop(): Promise<void>;
}

export interface TrafficOptions {
  /** Gateways; each gets as much as any other. */
  readonly urls: readonly string[];
  readonly path: string;
  /** As which client. */
  readonly address: string;
  /** Connections to each gateway. Default 1. */
  readonly connections?: number;
  /** Between an answer and the next request of a connection. Default 4. */
  readonly pauseMs?: number;
}

const requestMsMax = 5000;

/** Asks over and over, on connections that are kept, until it is stopped. A request that fails altogether has status 0. */
export function startTraffic({ urls, path, address, connections = 1, pauseMs = 4 }: TrafficOptions): Traffic {
  const answers: Answered[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let isOver = false;
  const work = async (url: string): Promise<void> => {
    while (!isOver) {
      answers.push(await ask(url + path, address, agent));
      await sleep(pauseMs);
    }
  };
  const startedAt = performance.now();
  const workers = urls.flatMap((url) => Array.from({ length: connections }, () => work(url)));
  return {
    answers,
    startedAt,
    async stop() {
      isOver = true;
      await Promise.all(workers);
      agent.destroy();
    },
  };
}

function ask(url: string, address: string, agent: Agent): Promise<Answered> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const end = (status: number, retryAfter?: string, body = ""): void => {
      const at = performance.now();
      resolve({ status, at, ms: at - startedAt, retryAfter, body });
    };
    const asking = request(url, { agent, headers: { "x-forwarded-for": address }, timeout: requestMsMax }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => end(answer.statusCode ?? 0, answer.headers["retry-after"], body));
      answer.on("error", () => end(0));
    });
    asking.on("timeout", () => asking.destroy(new Error("no answer in 5 s")));
    asking.on("error", () => end(0));
    asking.end();
  });
}

export function isAllowed({ status }: Answered): boolean {
  return status >= 200 && status < 300;
}

/** The part of sorted numbers below which `share` of them lie. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
