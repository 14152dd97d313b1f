/** Thrown out of a delivery: brings it again after `delayMs`. */
export class Redeliver extends Error {
  override readonly name = "Redeliver";
  readonly delayMs: number;
  /** False takes the attempt back: the handler did not get to run, so the message is not to blame. */
  readonly counted: boolean;

  constructor(delayMs: number, options: { readonly counted?: boolean; readonly cause?: unknown } = {}) {
    super(`deliver again after ${delayMs} ms`, options.cause === undefined ? undefined : { cause: options.cause });
    this.delayMs = delayMs;
    this.counted = options.counted ?? true;
  }
}

/** What a broker does with a delivery that was refused: after how long it comes again, and whether the attempt counts. */
export function refusalOf(thrown: unknown): { readonly delayMs: number; readonly counted: boolean } {
  if (thrown instanceof Redeliver) return { delayMs: thrown.delayMs, counted: thrown.counted };
  return { delayMs: refusalDelayMs, counted: true };
}

const refusalDelayMs = 1000;
