import type { Clock } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { Component } from "./component.ts";
import { inOrder } from "./component.ts";
import { startInterrupted, wrongOption } from "./errors.ts";
import type { ExitCode } from "./exit-code.ts";
import { exitCodes } from "./exit-code.ts";
import type { LifecycleLog } from "./log.ts";
import type { ComponentStatus } from "./part.ts";
import { Part } from "./part.ts";
import type { LifecycleState, Readiness } from "./readiness.ts";
import { readinessOf } from "./readiness.ts";
import type { ShutdownLimits } from "./shutdown.ts";
import { shutDown, stillOpen } from "./shutdown.ts";
import type { SignalSource } from "./signals.ts";
import { watchSignals } from "./signals.ts";
import { startAll, stopStarted } from "./startup.ts";

/**
 * The life of a process: created → starting → ready → draining → stopped.
 *
 * **Start.** Components start in the order of their needs, independent ones at the same time. Ready means: all are up.
 * One that fails or takes too long stops those that were started, and gives one error.
 *
 * **Stop** (SIGTERM, or `stop()`): readiness is withdrawn first, while everything still serves; then a quiet period, until
 * no work has come for 2 s or `drainDelayMs` are over, because a load balancer learns of it late; then components take
 * nothing new and finish what they have, those that need others first, for at most `finishMs`, after which their signals
 * abort; then they stop, in the same order. `graceMs` after the beginning, less 2 s, a hard stop names what was still
 * open and ends. A second signal ends at once.
 *
 * **Crash** (an exception or rejection that nobody caught): logged, then a stop within 5 s without quiet period, exit code
 * 1. A process in an unknown state does not go on serving.
 *
 * Exit codes: 0 stopped as asked, all work finished. 1 hard stop, crash, a component that failed to start, drain or
 * stop. 2 wrong definition or setting (a `StartError`): starting again without a change will not help.
 *
 * Kubernetes: `terminationGracePeriodSeconds` must be above preStop + `graceMs`.
 */
export interface Lifecycle {
  readonly state: LifecycleState;
  /** Resolves when all components are up. Rejects with a StartError (wrong definition) or a PlinthError. Once only. */
  start(): Promise<void>;
  /** Drains and stops. The same promise for every call; resolves to the exit code, never rejects. */
  stop(options?: StopOptions): Promise<ExitCode>;
  readiness(): Readiness;
  /** Each component and where it is, in start order. */
  components(): readonly ComponentStatus[];
  /** What is under way: components that are not through, and what they say is open. */
  open(): readonly string[];
  /** Ends the process on SIGTERM, SIGINT and uncaught errors as described above. The returned function takes it back. */
  handleSignals(source?: SignalSource): () => void;
}

export interface StopOptions {
  /** For the log. Default "asked to". */
  readonly reason?: string;
  /** Overrides for this stop. */
  readonly graceMs?: number;
  readonly drainDelayMs?: number;
}

export interface LifecycleOptions {
  readonly components: readonly Component[];
  readonly log: LifecycleLog;
  readonly clock?: Clock;
  /** For the start of one component. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** From the beginning of a stop to the end of the process at the latest. Default 30,000. */
  readonly graceMs?: number;
  /** Longest quiet period. 0 leaves it out, as on a laptop. Default 10,000. */
  readonly drainDelayMs?: number;
  /** How long without new work makes it quiet. Default 2,000. */
  readonly quietMs?: number;
  /** For what is under way to finish. Default 20,000; less when `graceMs` leaves less. */
  readonly finishMs?: number;
  /** Ends the process. Default `process.exit`. Called by `handleSignals` only. */
  readonly exit?: (code: ExitCode) => void;
}

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const clock = options.clock ?? systemClock;
  const log = options.log;
  // Wrong limits are found now, not when the process is to stop.
  limitsOf(options);
  const startTimeoutMs = atLeast("startTimeoutMs", options.startTimeoutMs ?? 30_000, 1);
  const parts = inOrder(options.components).map((component) => new Part(component));

  let state: LifecycleState = "created";
  let startup: Promise<void> | undefined;
  let stopping: Promise<ExitCode> | undefined;
  const interrupt = new AbortController();

  const runStart = async (): Promise<void> => {
    state = "starting";
    const startedAt = clock.now();
    try {
      await startAll(parts, { clock, log, timeoutMs: startTimeoutMs, signal: interrupt.signal });
      if (interrupt.signal.aborted) throw startInterrupted();
    } catch (thrown) {
      await stopStarted(parts, { clock, log });
      state = "stopped";
      throw thrown;
    }
    state = "ready";
    log.info({ durationMs: Math.round(clock.now() - startedAt), ...slowestOf(parts) }, "ready");
  };

  const runStop = async (how: StopOptions): Promise<ExitCode> => {
    if (state === "starting") {
      log.info({ reason: how.reason ?? "asked to" }, "stopping before the start was through");
      interrupt.abort(startInterrupted());
      await startup?.catch(() => {});
    }
    if (state !== "ready") {
      state = "stopped";
      return exitCodes.ok;
    }
    state = "draining";
    const startedAt = clock.now();
    log.info({ reason: how.reason ?? "asked to" }, "draining");
    const ok = await shutDown(parts, { clock, log, limits: limitsOf({ ...options, ...how }) });
    state = "stopped";
    const exitCode = ok ? exitCodes.ok : exitCodes.failed;
    log.info({ exitCode, durationMs: Math.round(clock.now() - startedAt) }, "stopped");
    return exitCode;
  };

  const lifecycle: Lifecycle = {
    get state() {
      return state;
    },
    start() {
      if (!startup && state === "created") startup = runStart();
      return startup ?? Promise.reject(startInterrupted());
    },
    stop(how = {}) {
      stopping ??= runStop(how);
      return stopping;
    },
    readiness: () => readinessOf(state, parts),
    components: () => parts.map(({ component, state, error }) => ({ name: component.name, state, error })),
    open: () => stillOpen(parts),
    handleSignals: (source = process) =>
      watchSignals({ source, lifecycle, clock, log, exit: options.exit ?? ((code) => process.exit(code)) }),
  };
  return lifecycle;
}

/** Whoever wonders why a start takes long reads it in the same line: those above a twentieth of a second, the slowest first. */
function slowestOf(parts: readonly Part[]): { readonly slowestMs?: Readonly<Record<string, number>> } {
  const slow = parts.filter(({ startMs }) => startMs >= slowStartMs).sort((a, b) => b.startMs - a.startMs);
  if (slow.length === 0) return {};
  return { slowestMs: Object.fromEntries(slow.map(({ name, startMs }) => [name, Math.round(startMs)])) };
}

const slowStartMs = 50;

function limitsOf(options: LifecycleOptions & StopOptions): ShutdownLimits {
  const graceMs = atLeast("graceMs", options.graceMs ?? 30_000, 100);
  // The last two seconds are for the log and for the exit itself; before them comes time to stop what is drained.
  const hardMs = graceMs - Math.min(2000, graceMs * 0.2);
  return {
    hardMs,
    stopReserveMs: Math.min(3000, graceMs * 0.2),
    drainDelayMs: Math.min(atLeast("drainDelayMs", options.drainDelayMs ?? 10_000, 0), hardMs),
    quietMs: atLeast("quietMs", options.quietMs ?? 2000, 0),
    finishMs: atLeast("finishMs", options.finishMs ?? 20_000, 0),
  };
}

function atLeast(name: string, value: number, least: number): number {
  if (!(value >= least && value < Number.POSITIVE_INFINITY)) {
    throw wrongOption(name, value, `Give milliseconds, ${least} or more.`);
  }
  return value;
}
