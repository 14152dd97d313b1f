import type { Clock } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import { forEachInOrder } from "./component.ts";
import { startFailed, startInterrupted, startTimedOut } from "./errors.ts";
import type { LifecycleLog } from "./log.ts";
import type { Part } from "./part.ts";

interface StartOptions {
  readonly clock: Clock;
  readonly log: LifecycleLog;
  readonly timeoutMs: number;
  /** Aborts when the process is to stop. */
  readonly signal: AbortSignal;
}

/** How long what was started may take to stop again when the start fails. */
const undoMsMax = 5000;

/** Starts all, each after what it needs. Throws the first error after all have settled; the others are logged. */
export async function startAll(parts: readonly Part[], options: StartOptions): Promise<void> {
  const { log, signal } = options;
  const failure = new AbortController();
  const abort = AbortSignal.any([signal, failure.signal]);
  let first: unknown;
  await forEachInOrder(
    parts.map((part) => part.component),
    "up",
    async (component) => {
      const part = parts.find((one) => one.component === component) as Part;
      if (abort.aborted) return;
      try {
        await startOne(part, abort, options);
      } catch (thrown) {
        part.state = "failed";
        part.error = thrown;
        if (first === undefined) first = thrown;
        else log.error({ err: thrown, component: part.name }, "a component did not start either");
        failure.abort(thrown);
      }
    },
  );
  if (first !== undefined) throw first;
}

async function startOne(part: Part, signal: AbortSignal, { clock, log, timeoutMs }: StartOptions): Promise<void> {
  const { component } = part;
  const limitMs = component.startTimeoutMs ?? timeoutMs;
  part.state = "starting";
  const startedAt = clock.now();
  let over = false;
  const start = (async () => component.start?.(signal))();
  // One that comes up when nobody waits any more is stopped again.
  start.then(
    () => over && stopOne(part, log),
    () => {},
  );
  const settled = new AbortController();
  try {
    await Promise.race([
      start,
      clock.sleep(limitMs, settled.signal).then(() => {
        throw startTimedOut(component.name, limitMs);
      }),
      aborted(signal, settled.signal),
    ]);
    part.state = "up";
    part.startMs = clock.now() - startedAt;
  } catch (thrown) {
    over = true;
    if (thrown instanceof StartError) throw thrown;
    throw thrown instanceof Error && "reason" in thrown && ownReasons.has(thrown.reason)
      ? thrown
      : startFailed(component.name, thrown);
  } finally {
    settled.abort();
  }
}

const ownReasons = new Set<unknown>(["COMPONENT_START_TIMEOUT", "START_INTERRUPTED"]);

/** Rejects soon after `signal` aborts: a component that heeds the signal may end its start by itself before. */
function aborted(signal: AbortSignal, settled: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => setImmediate(() => reject(startInterrupted()));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true, signal: settled });
  });
}

/** Stops those that are up, those that need others first. Gives up after 5 s. */
export async function stopStarted(
  parts: readonly Part[],
  { clock, log }: { readonly clock: Clock; readonly log: LifecycleLog },
): Promise<void> {
  const up = parts.filter((part) => part.state === "up");
  const done = new AbortController();
  const undo = forEachInOrder(
    up.map((part) => part.component),
    "down",
    async (component) => {
      await stopOne(up.find((part) => part.component === component) as Part, log);
    },
  );
  const limit = clock.sleep(undoMsMax, done.signal).then(
    () => {
      const names = up.filter((part) => part.state !== "stopped").map((part) => part.name);
      log.error({ open: names }, "what was started could not be stopped in time");
    },
    () => {},
  );
  await Promise.race([undo, limit]);
  done.abort();
}

/** False when it failed. */
export async function stopOne(part: Part, log: LifecycleLog): Promise<boolean> {
  part.state = "stopping";
  try {
    await part.component.stop?.();
    part.state = "stopped";
    return true;
  } catch (thrown) {
    part.state = "stopped";
    part.error = thrown;
    log.error({ err: thrown, component: part.name }, "a component failed to stop");
    return false;
  }
}
