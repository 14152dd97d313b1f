import type { Clock } from "../base/index.ts";
import type { TextDestination } from "./destination.ts";

/**
 * Appends lines to a buffer and writes them in batches: one write in flight, the next batch grows meanwhile.
 *
 * Limits: a batch goes out after `batchMs` or `batchLength` characters. While a destination does not answer, at most
 * `queueLengthMax` characters wait; further lines are dropped and counted, never waited for.
 */
export interface LineWriter {
  /** `line` ends with a newline. */
  write(line: string): void;
  /** Resolves when everything so far is written or dropped, or after 2 s. Never rejects. */
  flush(): Promise<void>;
  /** Flushes; what is written later goes out at once. */
  close(): Promise<void>;
  readonly writtenCount: number;
  /** Lines lost because the destination stood still or failed. */
  readonly droppedCount: number;
}

export interface LineWriterOptions {
  readonly destination: TextDestination;
  readonly clock: Clock;
  /** Changes a whole batch before it goes out. */
  readonly transform?: ((batch: string) => string) | undefined;
  readonly batchMs?: number;
  readonly batchLength?: number;
  readonly queueLengthMax?: number;
  /** Called once for each batch timer that fires. */
  readonly onTick?: () => void;
}

const flushMsMax = 2000;

export function createLineWriter(options: LineWriterOptions): LineWriter {
  const { destination, clock, transform, onTick } = options;
  const batchMs = options.batchMs ?? 100;
  const batchLength = options.batchLength ?? 64 * 1024;
  const queueLengthMax = options.queueLengthMax ?? 4 * 1024 * 1024;

  let buffer = "";
  let bufferCount = 0;
  let inFlight = false;
  let closed = false;
  let writtenCount = 0;
  let droppedCount = 0;
  let cancelTimer: (() => void) | undefined;
  let waiters: (() => void)[] = [];

  const settle = (): void => {
    if (inFlight || buffer !== "") return;
    const ready = waiters;
    waiters = [];
    for (const resolve of ready) resolve();
  };

  const send = (): void => {
    if (inFlight || buffer === "") {
      settle();
      return;
    }
    const count = bufferCount;
    const batch = buffer;
    buffer = "";
    bufferCount = 0;
    inFlight = true;
    let answered = false;
    const done = (error?: Error | null): void => {
      if (answered) return;
      answered = true;
      inFlight = false;
      if (error) droppedCount += count;
      else writtenCount += count;
      // What came meanwhile goes out with its own timer, or at once when it is a whole batch or somebody waits.
      if (buffer.length >= batchLength || waiters.length > 0) send();
      else settle();
    };
    try {
      destination.write(transform ? transform(batch) : batch, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };

  const onTimer = (): void => {
    cancelTimer = undefined;
    onTick?.();
    send();
    if (buffer !== "") arm();
  };
  const arm = (): void => {
    cancelTimer ??= clock.after(batchMs, onTimer);
  };

  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(flushMsMax, resolve);
      waiters.push(() => {
        cancel();
        resolve();
      });
      send();
    });

  return {
    get writtenCount() {
      return writtenCount;
    },
    get droppedCount() {
      return droppedCount;
    },
    write(line) {
      if (buffer.length + line.length > queueLengthMax) {
        droppedCount++;
        return;
      }
      buffer += line;
      bufferCount++;
      if (closed || buffer.length >= batchLength) send();
      else arm();
    },
    flush,
    async close() {
      closed = true;
      cancelTimer?.();
      cancelTimer = undefined;
      await flush();
    },
  };
}
