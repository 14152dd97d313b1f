import type { CallContext, PlinthError } from "../base/index.ts";
import { notExecuted } from "./errors.ts";

/** How a stream ended: by itself, by an error, or because its reader left. */
export type StreamEnd = "done" | "failed" | "left";

export interface StreamGate<Item> {
  /** Called before the first item. Throws to refuse the stream. */
  open(): AsyncIterable<Item> | Promise<AsyncIterable<Item>>;
  onItem?(): void;
  /** Exactly once, if `open` succeeded. */
  onEnd?(end: StreamEnd, thrown: unknown): void;
}

/**
 * A stream behind a gate. Nothing happens before its reader asks for the first item. It ends at once, also while it waits,
 * when the call is cancelled; the source is then told to return but not waited for.
 *
 * Written by hand and not as a generator, because a generator hears `return` only after the item it waits for has come.
 */
export function gatedStream<Item>(context: CallContext, gate: StreamGate<Item>): AsyncIterableIterator<Item> {
  return new GatedStream(context, gate);
}

class GatedStream<Item> implements AsyncIterableIterator<Item> {
  readonly #context: CallContext;
  readonly #gate: StreamGate<Item>;
  readonly #waiting = new Set<Reader<Item>>();
  #opening: Promise<AsyncIterator<Item>> | undefined;
  #source: AsyncIterator<Item> | undefined;
  #ended = false;
  /** Why it ended too early. Told to each further `next`, so that a cut stream never looks like a whole one. */
  #reason: PlinthError | undefined;
  #forget: (() => void) | undefined;

  constructor(context: CallContext, gate: StreamGate<Item>) {
    this.#context = context;
    this.#gate = gate;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item>> {
    if (this.#reason) return Promise.reject(this.#reason);
    if (this.#ended) return Promise.resolve(over);
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      this.#waiting.add(reader);
      this.#step().then(
        (result) => {
          this.#waiting.delete(reader);
          resolve(result);
        },
        (thrown) => {
          this.#waiting.delete(reader);
          reject(thrown);
        },
      );
    });
  }

  async return(): Promise<IteratorResult<Item>> {
    this.#end("left", undefined);
    for (const reader of this.#waiting) reader.resolve(over);
    await this.#source?.return?.();
    return over;
  }

  async #step(): Promise<IteratorResult<Item>> {
    this.#opening ??= this.#open();
    const source = this.#source ?? (await this.#opening);
    if (this.#ended) return over;
    try {
      const result = await source.next();
      if (result.done) this.#end("done", undefined);
      else if (!this.#ended) this.#gate.onItem?.();
      return result;
    } catch (thrown) {
      this.#end("failed", thrown);
      throw thrown;
    }
  }

  async #open(): Promise<AsyncIterator<Item>> {
    try {
      if (this.#context.cancelled) throw notExecuted(this.#context.cancelled);
      const source = (await this.#gate.open())[Symbol.asyncIterator]();
      this.#source = source;
      if (this.#ended) {
        // The reader left while the gate was still opening.
        this.#gate.onEnd?.("left", undefined);
        await source.return?.();
      } else {
        this.#forget = this.#context.onCancel((reason) => this.#cancel(reason));
      }
      return source;
    } catch (thrown) {
      this.#ended = true;
      throw thrown;
    }
  }

  #cancel(reason: PlinthError): void {
    this.#reason = reason;
    this.#end("failed", reason);
    for (const reader of this.#waiting) reader.reject(reason);
    // The source's own error would tell the reader nothing new: it has the reason of the cancellation.
    this.#source?.return?.().catch(() => {});
  }

  #end(end: StreamEnd, thrown: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forget?.();
    if (this.#source) this.#gate.onEnd?.(end, thrown);
  }
}

interface Reader<Item> {
  resolve(result: IteratorResult<Item>): void;
  reject(reason: unknown): void;
}

const over = Object.freeze({ done: true, value: undefined }) as IteratorReturnResult<undefined>;
