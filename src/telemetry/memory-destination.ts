import type { TextDestination } from "./destination.ts";

/** Remembers what was written. `stuck` holds back every answer until it is false again. */
export interface MemoryDestination extends TextDestination {
  readonly text: string;
  /** Each line, parsed. Throws when one is no JSON. */
  readonly records: readonly Record<string, unknown>[];
  stuck: boolean;
}

export function createMemoryDestination(): MemoryDestination {
  let text = "";
  let stuck = false;
  let waiting: (() => void)[] = [];
  return {
    get text() {
      return text;
    },
    get records() {
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    get stuck() {
      return stuck;
    },
    set stuck(value) {
      stuck = value;
      if (stuck) return;
      const ready = waiting;
      waiting = [];
      for (const done of ready) done();
    },
    write(chunk, done) {
      text += chunk;
      if (!done) return;
      if (stuck) waiting.push(done);
      else done();
    },
  };
}
