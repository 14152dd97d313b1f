/** Stops a wrong program. Never used for what a caller or the world may do. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** For the branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}

/**
 * For an error in somebody's listener: the others still run, and the error is not lost. It becomes an uncaught
 * exception of the process, as one in a listener of an `AbortSignal` does.
 */
export function throwLater(thrown: unknown): void {
  process.nextTick(() => {
    throw thrown;
  });
}
