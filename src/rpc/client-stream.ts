import type { PlinthError } from "../base/index.ts";
import type { StreamWindow } from "./protocol.ts";

export interface StreamControl {
  /** Nobody wants more. */
  cancel(): void;
  /** The server may send so much more. */
  grant(items: number, bytes: number): void;
}

interface Waiter {
  resolve(step: IteratorResult<unknown>): void;
  reject(reason: PlinthError): void;
}

/**
 * The consumer's side of a stream. Holds the items that have arrived and were not asked for yet: at most the window,
 * which is opened again by halves as items are consumed. An error comes after the items before it.
 */
export class ClientStream implements AsyncIterator<unknown> {
  readonly #window: StreamWindow;
  readonly #control: StreamControl;
  readonly #items: { value: unknown; byteCount: number }[] = [];
  readonly #waiters: Waiter[] = [];
  #isOver = false;
  #error: PlinthError | undefined = undefined;
  #consumedItems = 0;
  #consumedBytes = 0;

  constructor(window: StreamWindow, control: StreamControl) {
    this.#window = window;
    this.#control = control;
  }

  push(value: unknown, byteCount: number): void {
    if (this.#isOver) return;
    const waiter = this.#waiters.shift();
    if (!waiter) {
      this.#items.push({ value, byteCount });
      return;
    }
    this.#consume(byteCount);
    waiter.resolve({ done: false, value });
  }

  end(): void {
    this.#isOver = true;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
  }

  fail(error: PlinthError): void {
    if (this.#isOver) return;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.reject(error);
    else this.#error = error;
    this.end();
  }

  next(): Promise<IteratorResult<unknown>> {
    const item = this.#items.shift();
    if (item) {
      this.#consume(item.byteCount);
      return Promise.resolve({ done: false, value: item.value });
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#items.length = 0;
    this.#error = undefined;
    if (!this.#isOver) {
      this.end();
      this.#control.cancel();
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  #consume(byteCount: number): void {
    this.#consumedItems++;
    this.#consumedBytes += byteCount;
    const isHalf = this.#consumedItems * 2 >= this.#window.items || this.#consumedBytes * 2 >= this.#window.bytes;
    if (!isHalf || this.#isOver) return;
    this.#control.grant(this.#consumedItems, this.#consumedBytes);
    this.#consumedItems = 0;
    this.#consumedBytes = 0;
  }
}
