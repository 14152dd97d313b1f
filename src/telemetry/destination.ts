import { pino } from "pino";

/**
 * Where text goes: anything that writes a string and says when it is through. Every Node `Writable` is one.
 *
 * `done` must be called for each write that passes it; a writer that gets no answer holds back, then drops.
 */
export interface TextDestination {
  write(text: string, done?: (error?: Error | null) => void): unknown;
}

/** At most this many bytes wait for a reader of standard output that has stopped reading; more are dropped. */
export const standardOutputBytesMax = 16 * 1024 * 1024;

export interface StandardOutput extends TextDestination {
  /** Writes dropped because the reader stood still. */
  readonly droppedCount: number;
}

let shared: StandardOutput | undefined;

/**
 * Standard output of this process, made once so that lines of different writers never mix. It does not block the event
 * loop when the reader is slow, and what is buffered at exit is written synchronously then.
 */
export function standardOutput(): StandardOutput {
  shared ??= openOutput(1);
  return shared;
}

/** The same over any file descriptor. */
export function openOutput(fd: number): StandardOutput {
  const output = pino.destination({ dest: fd, sync: false, minLength: 0, maxLength: standardOutputBytesMax });
  let droppedCount = 0;
  output.on("drop", () => droppedCount++);
  // A reader that went away (EPIPE) takes the log with it, not the process.
  output.on("error", () => droppedCount++);
  return {
    get droppedCount() {
      return droppedCount;
    },
    write(text, done) {
      if (text !== "") output.write(text);
      if (done) output.flush((error) => done(error));
    },
  };
}
