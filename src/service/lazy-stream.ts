/**
 * A stream that begins with its first item and can be left at any time, also while it waits for one.
 *
 * Written by hand and not as a generator, because a generator hears `return` only after the item it waits for has come:
 * a reader that gives up on a silent stream would hang, and the stream go on.
 */
export interface LazySource<Item> {
  /** Called for the first item. What it throws ends the stream. */
  open(): AsyncIterable<unknown>;
  /** What the reader gets for an item. */
  give(item: unknown): Item;
  /** What the reader gets for an error. */
  fail?(thrown: unknown): unknown;
  /** The reader left while it waited: nobody wants the item any more. Comes before `onEnd`. */
  onLeave?(): void;
  /** The stream is over, in whatever way; the source's cleaning up is done unless the reader left while it waited. */
  onEnd?(): void;
}

export function lazyStream<Item>(source: LazySource<Item>): AsyncIterableIterator<Item> {
  return new LazyStream(source);
}

class LazyStream<Item> implements AsyncIterableIterator<Item> {
  readonly #lazy: LazySource<Item>;
  readonly #waiting = new Set<(result: IteratorResult<Item>) => void>();
  #source: AsyncIterator<unknown> | undefined;
  #isOver = false;

  constructor(lazy: LazySource<Item>) {
    this.#lazy = lazy;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item>> {
    if (this.#isOver) return Promise.resolve(over);
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve);
      this.#step().then(
        (result) => {
          this.#waiting.delete(resolve);
          resolve(result);
        },
        (thrown) => {
          this.#waiting.delete(resolve);
          reject(thrown);
        },
      );
    });
  }

  async return(): Promise<IteratorResult<Item>> {
    const isWaiting = this.#waiting.size > 0;
    if (isWaiting && !this.#isOver) this.#lazy.onLeave?.();
    const wasOver = this.#isOver;
    this.#isOver = true;
    for (const resolve of this.#waiting) resolve(over);
    try {
      const returned = wasOver ? undefined : this.#source?.return?.();
      if (isWaiting) returned?.catch(() => {});
      else await returned;
    } finally {
      if (!wasOver) this.#lazy.onEnd?.();
    }
    return over;
  }

  async #step(): Promise<IteratorResult<Item>> {
    try {
      this.#source ??= this.#lazy.open()[Symbol.asyncIterator]();
      const result = await this.#source.next();
      if (!result.done) return { done: false, value: this.#lazy.give(result.value) };
      this.#end();
      return over;
    } catch (thrown) {
      this.#end();
      // Where it was the item that nobody could take, the source does not know yet.
      this.#source?.return?.().catch(() => {});
      throw this.#lazy.fail ? this.#lazy.fail(thrown) : thrown;
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lazy.onEnd?.();
  }
}

const over = Object.freeze({ done: true, value: undefined }) as IteratorReturnResult<undefined>;
