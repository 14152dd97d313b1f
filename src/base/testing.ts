/** The second door of base, for tests alone. */

/** Runs `run` and the turn after it; gives back what would have ended the process as an uncaught exception. */
export async function uncaughtErrors(run: () => unknown): Promise<unknown[]> {
  const others = process.listeners("uncaughtException");
  const caught: unknown[] = [];
  const listen = (thrown: unknown): void => void caught.push(thrown);
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", listen);
  try {
    await run();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("uncaughtException", listen);
    for (const other of others) process.on("uncaughtException", other);
  }
  return caught;
}
