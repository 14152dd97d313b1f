import { LRUCache } from "lru-cache";

/**
 * What was removed, and when, in versions: a number that only grows. A copy is current while none of its names was
 * removed after the version at which it began to be made. So a removal costs one note for each name, however many copies
 * it concerns, and it concerns also those that are still being made.
 *
 * Bounded: 50,000 notes. When the oldest is dropped, its version becomes the floor below which nothing with a name is
 * current. That loses copies, never the truth.
 */
export class Notes {
  version = 0;

  #floor = 0;
  /** Below it nothing at all is current. */
  #flushed = 0;
  readonly #cleared = new Map<string, number>();
  readonly #removed = new LRUCache<string, Note>({
    max: notesMax,
    dispose: (note, _name, reason) => {
      if (reason === "evict") this.#floor = Math.max(this.#floor, note.version);
    },
  });

  /** Names hold their namespace. `at` is when, for `removedAt`. */
  add(names: readonly string[], at: number): void {
    const version = ++this.version;
    for (const name of names) this.#removed.set(name, { version, at });
  }

  clear(namespace: string): void {
    this.#cleared.set(namespace, ++this.version);
  }

  flush(): void {
    this.#flushed = ++this.version;
  }

  /** When the name was last removed, as far as it is remembered. */
  removedAt(name: string): number | undefined {
    return this.#removed.peek(name)?.at;
  }

  isCurrent(version: number, namespace: string, names: readonly string[]): boolean {
    if (this.#flushed > version || (this.#cleared.get(namespace) ?? 0) > version) return false;
    for (const name of names) {
      if ((this.#removed.peek(name)?.version ?? this.#floor) > version) return false;
    }
    return true;
  }
}

const notesMax = 50_000;

interface Note {
  readonly version: number;
  readonly at: number;
}
