import type { Clock } from "../base/index.ts";
import { forEachInOrder } from "./component.ts";
import { shuttingDown } from "./errors.ts";
import type { LifecycleLog } from "./log.ts";
import type { Part } from "./part.ts";
import { stopOne } from "./startup.ts";

export interface ShutdownLimits {
  /** From the beginning to the hard stop. */
  readonly hardMs: number;
  /** Kept of that for `stop`, when finishing takes long. */
  readonly stopReserveMs: number;
  readonly drainDelayMs: number;
  readonly quietMs: number;
  readonly finishMs: number;
}

interface ShutdownOptions {
  readonly clock: Clock;
  readonly log: LifecycleLog;
  readonly limits: ShutdownLimits;
}

const quietCheckMs = 100;

/** The whole sequence. True when all went well; false after an error, an abort of unfinished work, or a hard stop. */
export async function shutDown(parts: readonly Part[], options: ShutdownOptions): Promise<boolean> {
  const { clock, log, limits } = options;
  const hardAt = clock.now() + limits.hardMs;
  const over = new AbortController();
  const sequence = runSequence(parts, options, hardAt, over.signal).catch((thrown: unknown) => {
    if (!over.signal.aborted) log.error({ err: thrown }, "the shutdown failed");
    return false;
  });
  const hard = clock.sleep(limits.hardMs, over.signal).then(
    () => {
      log.error({ open: stillOpen(parts) }, "hard stop: the time to shut down is over, and this was still open");
      return false;
    },
    () => false,
  );
  const ok = await Promise.race([sequence, hard]);
  over.abort();
  return ok;
}

async function runSequence(
  parts: readonly Part[],
  { clock, log, limits }: ShutdownOptions,
  hardAt: number,
  over: AbortSignal,
): Promise<boolean> {
  let ok = true;
  for (const part of parts) {
    try {
      part.component.quiesce?.();
    } catch (thrown) {
      ok = false;
      log.error({ err: thrown, component: part.name }, "a component failed to become quiet");
    }
  }
  await untilQuiet(parts, clock, limits, over);
  ok = (await drainAll(parts, { clock, log, limits }, hardAt, over)) && ok;
  await forEachInOrder(
    parts.map((part) => part.component),
    "down",
    async (component) => {
      if (!over.aborted) ok = (await stopOne(partOf(parts, component), log)) && ok;
    },
  );
  return ok;
}

/** Until no work has come for `quietMs`, at most `drainDelayMs`. */
async function untilQuiet(
  parts: readonly Part[],
  clock: Clock,
  limits: ShutdownLimits,
  over: AbortSignal,
): Promise<void> {
  const startedAt = clock.now();
  const endAt = startedAt + limits.drainDelayMs;
  while (clock.now() < endAt) {
    let lastAt = startedAt;
    for (const { component } of parts) lastAt = Math.max(lastAt, component.lastWorkAt?.() ?? 0);
    const quietAt = Math.min(lastAt + limits.quietMs, endAt);
    const leftMs = quietAt - clock.now();
    if (leftMs <= 0) return;
    await clock.sleep(Math.min(leftMs, quietCheckMs), over);
  }
}

/** Lets everything finish, those that need others first; aborts what is not through in time. */
async function drainAll(
  parts: readonly Part[],
  { clock, log, limits }: ShutdownOptions,
  hardAt: number,
  over: AbortSignal,
): Promise<boolean> {
  let ok = true;
  const force = new AbortController();
  const leftMs = Math.max(0, Math.min(limits.finishMs, hardAt - limits.stopReserveMs - clock.now()));
  const cancel = clock.after(leftMs, () => {
    ok = false;
    log.warn({ open: stillOpen(parts) }, "the time to finish is over: what is under way is aborted");
    force.abort(shuttingDown());
  });
  await forEachInOrder(
    parts.map((part) => part.component),
    "down",
    async (component) => {
      if (over.aborted) return;
      const part = partOf(parts, component);
      part.state = "draining";
      try {
        await component.drain?.(force.signal);
      } catch (thrown) {
        ok = false;
        part.error = thrown;
        log.error({ err: thrown, component: part.name }, "a component failed to drain");
      }
      part.state = "drained";
    },
  );
  cancel();
  return ok;
}

function partOf(parts: readonly Part[], component: Part["component"]): Part {
  return parts.find((part) => part.component === component) as Part;
}

/** Components that are not through, with what they say is open. */
export function stillOpen(parts: readonly Part[]): string[] {
  return parts
    .filter((part) => part.state !== "stopped" && part.state !== "waiting" && part.state !== "failed")
    .map((part) => {
      const open = openOf(part);
      return `${part.name} (${part.state}${open.length > 0 ? `: ${open.join(", ")}` : ""})`;
    });
}

function openOf(part: Part): readonly string[] {
  try {
    return (part.component.open?.() ?? []).slice(0, 10);
  } catch {
    return ["it cannot tell"];
  }
}
