import { write, writeSync } from "node:fs";
import { systemClock } from "../base/index.ts";

/**
 * Where text goes: anything that writes a string and says when it is through. Every Node `Writable` is one.
 *
 * `done` must be called for each write that passes it; a writer that gets no answer holds back, then drops.
 */
export interface TextDestination {
  write(text: string, done?: (error?: Error | null) => void): unknown;
}

/** At most this many characters wait for a reader that has stopped reading; what comes then is dropped and counted. */
export const outputLengthMax = 16 * 1024 * 1024;

export interface Output extends TextDestination {
  /** Writes dropped because the reader stood still or went away. */
  readonly droppedCount: number;
  /** Writes what waits, before returning. For the end of the process. */
  flushSync(): void;
}

let shared: Output | undefined;

/**
 * Standard output of this process, made once so that lines of different writers never mix. A slow reader does not hold
 * up the event loop; what waits when the process exits is written then.
 */
export function standardOutput(): Output {
  if (!shared) {
    shared = openOutput(1);
    process.on("exit", shared.flushSync);
  }
  return shared;
}

interface Waiting {
  readonly text: string;
  readonly done: ((error?: Error | null) => void) | undefined;
}

const retryMs = 10;
const syncAttemptsMax = 200;

/** The same over any file descriptor: the writes of one turn of the event loop go out together, in order. */
export function openOutput(fd: number): Output {
  let queue: Waiting[] = [];
  let queueLength = 0;
  let scheduled = false;
  let droppedCount = 0;
  let gone: Error | undefined;

  const finish = (batch: readonly Waiting[], error: Error | null): void => {
    if (error) droppedCount += batch.length;
    for (const one of batch) one.done?.(error);
    scheduled = false;
    if (queue.length > 0) schedule();
  };

  const send = (batch: readonly Waiting[], bytes: Buffer, from: number): void => {
    write(fd, bytes, from, bytes.length - from, null, (error, count) => {
      if (error?.code === "EAGAIN") {
        systemClock.after(retryMs, () => send(batch, bytes, from));
      } else if (error) {
        gone = error;
        finish(batch, error);
      } else if (from + count < bytes.length) {
        send(batch, bytes, from + count);
      } else {
        finish(batch, null);
      }
    });
  };

  const take = (): Waiting[] => {
    const batch = queue;
    queue = [];
    queueLength = 0;
    return batch;
  };

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      const batch = take();
      const bytes = Buffer.from(batch.map((one) => one.text).join(""));
      if (bytes.length === 0 || gone) finish(batch, gone ?? null);
      else send(batch, bytes, 0);
    });
  };

  return {
    get droppedCount() {
      return droppedCount;
    },
    write(text, done) {
      if (queueLength + text.length > outputLengthMax) {
        droppedCount++;
        done?.(new Error("the reader of the log stands still"));
        return;
      }
      queue.push({ text, done });
      queueLength += text.length;
      schedule();
    },
    flushSync() {
      const batch = take();
      const error = gone ?? writeAllSync(fd, Buffer.from(batch.map((one) => one.text).join("")));
      if (error) droppedCount += batch.length;
      for (const one of batch) one.done?.(error);
    },
  };
}

/** Writes all of it, giving a reader that is full 200 times 5 ms. Returns what went wrong. */
function writeAllSync(fd: number, bytes: Buffer): Error | null {
  let from = 0;
  let attempts = 0;
  while (from < bytes.length) {
    try {
      from += writeSync(fd, bytes, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || ++attempts > syncAttemptsMax) return error as Error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return null;
}
