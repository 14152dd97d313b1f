import type { Clock } from "../base/index.ts";
import type { ExitCode } from "./exit-code.ts";
import { exitCodes } from "./exit-code.ts";
import type { LifecycleLog } from "./log.ts";

/** What sends signals: `process`, or an `EventEmitter` in a test. */
export interface SignalSource {
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
}

interface Stoppable {
  stop(options: { reason: string; graceMs?: number; drainDelayMs?: number }): Promise<ExitCode>;
  open(): readonly string[];
}

interface SignalOptions {
  readonly source: SignalSource;
  readonly lifecycle: Stoppable;
  readonly clock: Clock;
  readonly log: LifecycleLog;
  readonly exit: (code: ExitCode) => void;
}

/** A crash leaves this much time to finish what is under way. */
export const crashGraceMs = 5000;

/**
 * Ctrl-C in a terminal reaches the process twice when a package manager stands between and passes it on: two SIGINT
 * within this time are one.
 */
const doubleSigintMs = 250;
const crashLogMax = 20;

export function watchSignals({ source, lifecycle, clock, log, exit }: SignalOptions): () => void {
  let asked: { readonly name: string; readonly at: number } | undefined;
  let crashCount = 0;
  let ended = false;

  const end = (code: ExitCode): void => {
    if (ended) return;
    ended = true;
    exit(code);
  };

  const onSignal = (name: string) => (): void => {
    if (asked) {
      if (name === "SIGINT" && asked.name === name && clock.now() - asked.at < doubleSigintMs) return;
      log.warn({ signal: name, open: lifecycle.open() }, "second signal: stopping at once");
      end(exitCodes.failed);
      return;
    }
    asked = { name, at: clock.now() };
    void finish(name, {}, exitCodes.ok);
  };

  const onCrash =
    (kind: string) =>
    (thrown: unknown): void => {
      crashCount++;
      if (crashCount <= crashLogMax) log.fatal({ err: asError(thrown) }, `${kind}: the process stops`);
      if (crashCount > 1) return;
      void finish(kind, { graceMs: crashGraceMs, drainDelayMs: 0 }, exitCodes.failed);
      // A stop that was under way keeps its own limits; this one ends the process in time all the same.
      clock.after(crashGraceMs, () => end(exitCodes.failed));
    };

  const finish = async (
    reason: string,
    limits: { readonly graceMs?: number; readonly drainDelayMs?: number },
    least: ExitCode,
  ): Promise<void> => {
    const code = await lifecycle.stop({ reason, ...limits });
    await log.flush();
    end(crashCount > 0 ? exitCodes.failed : code === exitCodes.ok ? least : code);
  };

  const listeners: readonly (readonly [string, (thrown: unknown) => void])[] = [
    ["SIGTERM", onSignal("SIGTERM")],
    ["SIGINT", onSignal("SIGINT")],
    ["uncaughtException", onCrash("uncaught exception")],
    ["unhandledRejection", onCrash("unhandled rejection")],
  ];
  for (const [event, listener] of listeners) source.on(event, listener);
  return () => {
    for (const [event, listener] of listeners) source.off(event, listener);
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`thrown: ${String(thrown)}`);
}
