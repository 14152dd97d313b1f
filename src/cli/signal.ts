import type { Clock } from "../base/index.ts";

/** A package manager between the terminal and this process passes Ctrl-C on: two within this time are one. */
const doubleMs = 250;

/** Resolves when this process is asked to stop. Asked again, it ends at once. */
export function untilSignal(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let askedAt: number | undefined;
    const onSignal = (): void => {
      if (askedAt !== undefined && clock.now() - askedAt >= doubleMs) process.exit(1);
      askedAt ??= clock.now();
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, onSignal);
  });
}
