/**
 * Answers that are given again and again. What a cache keeps is text; here each text is read once, and all who get it share
 * one answer, which is frozen. Beside it stand notes of whoever passes it on, such as the body that it is over HTTP, so that
 * it is written once as well.
 *
 * Bounded by the texts that were read: two generations of at most 1,000 texts and 2 million characters each; what is longer
 * than a sixteenth of that is read each time.
 */
export class KeptAnswers<T extends object> {
  #young = new Map<string, Reading<T>>();
  #old = new Map<string, Reading<T>>();
  #charCount = 0;

  /** What `text` says, which is what the cache holds under `key` now. */
  read(key: string, text: string): T {
    const young = this.#young.get(key);
    if (young?.text === text) return young.value;
    const old = young ? undefined : this.#old.get(key);
    const value = old?.text === text ? old.value : freeze(JSON.parse(text) as T);
    if (text.length <= charsMax / 16) this.#keep(key, { text, value });
    return value;
  }

  #keep(key: string, reading: Reading<T>): void {
    if (this.#young.size >= countMax || this.#charCount + reading.text.length > charsMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#charCount = 0;
    }
    this.#charCount += reading.text.length;
    this.#young.set(key, reading);
  }
}

interface Reading<T> {
  readonly text: string;
  readonly value: T;
}

const countMax = 1_000;
const charsMax = 2_000_000;

/** What was made of a kept answer, by whoever makes it. */
export interface AnswerNotes {
  /** As JSON, by its schema. */
  body: string | undefined;
  /** Its entity tag, by content coding. */
  readonly etags: Map<string, string>;
}

const notes = new WeakMap<object, AnswerNotes>();

/** From now on there are notes beside this answer. It must never change. */
export function addNotes(answer: object): void {
  if (!notes.has(answer)) notes.set(answer, { body: undefined, etags: new Map() });
}

/** Undefined for an answer that was made for one caller. */
export function notesOf(answer: unknown): AnswerNotes | undefined {
  return typeof answer === "object" && answer !== null ? notes.get(answer) : undefined;
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
