import { assert } from "./assert.ts";

/**
 * Time as an argument. Everything that waits or reads the time takes a `Clock`, so that a test can run a week in a
 * second. This room alone touches the real one.
 *
 * `now` is monotonic milliseconds (for deadlines, durations, leases); `wallNow` is milliseconds since 1970 (for stamps
 * that people read and `exp` claims). The two are never compared.
 */
export interface Clock {
  now(): number;
  wallNow(): number;
  /** Runs `task` once after `delayMs`. The returned function cancels it. Does not keep the process alive. */
  after(delayMs: number, task: () => void): () => void;
  /** Runs `task` each `everyMs`, 1 ms to 24 days. The returned function ends it. Does not keep the process alive. */
  every(everyMs: number, task: () => void): () => void;
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** What Node's timers can wait for; beyond it they fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after: (delayMs, task) => startTimer(delayMs, task, false),
  every(everyMs, task) {
    assertInterval(everyMs);
    const timer = setInterval(task, everyMs);
    timer.unref();
    return () => clearInterval(timer);
  },
  // Kept alive on purpose: somebody awaits it.
  sleep: (delayMs, signal) => sleepOn((ms, task) => startTimer(ms, task, true), delayMs, signal),
};

/** One timer, or a chain of them for a wait that is longer than one can be. */
function startTimer(delayMs: number, task: () => void, keepAlive: boolean): () => void {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, timerMsMax);
    timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : task()), stepMs);
    if (!keepAlive) timer.unref();
  };
  arm(delayMs);
  return () => clearTimeout(timer);
}

function sleepOn(after: Clock["after"], delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function assertInterval(everyMs: number): void {
  assert(everyMs >= 1 && everyMs <= timerMsMax, `an interval is 1 ms to ${timerMsMax} ms, not ${everyMs}`);
}

/** A clock that stands still until told. `advance` runs what falls due, in order of time, and lets promises settle. */
export interface ManualClock extends Clock {
  advance(byMs: number): Promise<void>;
}

export function createManualClock(startWallMs = 1_700_000_000_000): ManualClock {
  interface Task {
    at: number;
    order: number;
    run: () => void;
  }
  let nowMs = 0;
  let order = 0;
  const tasks = new Set<Task>();

  const add = (at: number, run: () => void): (() => void) => {
    const task = { at, order: order++, run };
    tasks.add(task);
    return () => void tasks.delete(task);
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

  const clock: ManualClock = {
    now: () => nowMs,
    wallNow: () => startWallMs + nowMs,
    after: (delayMs, task) => add(nowMs + Math.max(0, delayMs), task),
    every(everyMs, task) {
      assertInterval(everyMs);
      let cancel: () => void;
      const again = () => {
        cancel = add(nowMs + everyMs, again);
        task();
      };
      cancel = add(nowMs + everyMs, again);
      return () => cancel();
    },
    sleep: (delayMs, signal) => sleepOn(clock.after, delayMs, signal),
    async advance(byMs) {
      const end = nowMs + byMs;
      await settle();
      for (;;) {
        let next: Task | undefined;
        for (const task of tasks) {
          if (task.at > end) continue;
          if (!next || task.at < next.at || (task.at === next.at && task.order < next.order)) next = task;
        }
        if (!next) break;
        tasks.delete(next);
        nowMs = Math.max(nowMs, next.at);
        next.run();
        await settle();
      }
      nowMs = end;
      await settle();
    },
  };
  return clock;
}
