import { Agent as HttpAgent, request as requestPlainly } from "node:http";
import { Agent as HttpsAgent, request as requestSecurely } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** Somebody who wants nothing bad: a request every few milliseconds, whether or not the last was answered. */
export interface Ordinary {
  readonly sent: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const everyMs = 10;
const timeoutMs = 5000;

/** Each tenth request opens a connection of its own. */
export async function askFor(seconds: number, port: number, ca: string | undefined): Promise<Ordinary> {
  const kept = ca === undefined ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ca });
  const times: number[] = [];
  const running: Promise<void>[] = [];
  let failed = 0;
  const startedAt = performance.now();
  const count = Math.floor((seconds * 1000) / everyMs);
  for (let i = 0; i < count; i++) {
    const dueAt = startedAt + i * everyMs;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    running.push(
      askOnce(port, ca, i % 10 === 0 ? undefined : kept).then((isGood) => {
        // From when it was due: what a late start hides is counted as well.
        if (isGood) times.push(performance.now() - dueAt);
        else failed++;
      }),
    );
  }
  await Promise.all(running);
  kept.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
  return { sent: count, failed, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(0.9999) };
}

function askOnce(port: number, ca: string | undefined, agent: HttpAgent | HttpsAgent | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { port, host: "127.0.0.1", path: "/hello", timeout: timeoutMs, agent: agent ?? false };
    const request =
      ca === undefined
        ? requestPlainly(options as object)
        : requestSecurely({ ...options, ca, servername: "localhost" } as object);
    request.on("response", (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode === 200));
      response.once("error", () => resolve(false));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
    request.end();
  });
}
