import type { CallScope } from "../base/index.ts";
import type { Codec } from "../wire/index.ts";
import type { Connection } from "./connection.ts";
import { responseUnsendable } from "./errors.ts";
import type { StreamWindow } from "./protocol.ts";
import { frameKind } from "./protocol.ts";

/** The call that a stream answers. */
export interface StreamTarget {
  readonly id: number;
  readonly scope: CallScope;
  readonly isResponseCompiled: boolean;
  readonly response: Codec;
}

/**
 * The server's side of a stream: asks the handler for the next item only when the client has granted one, and bytes, and
 * the connection is not clogged. So a slow consumer bounds what is produced: the granted items, and of bytes at most one
 * item beyond the granted ones.
 *
 * However the stream ends (its end, an error, a cancel, a lost connection), the handler's iterator is returned, so that its
 * `finally` runs.
 */
export class ServerStream {
  readonly #connection: Connection;
  readonly #call: StreamTarget;
  readonly #pendingBytesMax: number;
  readonly #beforeItem: () => void;
  #items: number;
  #bytes: number;
  #wake: (() => void) | undefined = undefined;

  constructor(
    connection: Connection,
    call: StreamTarget,
    window: StreamWindow,
    pendingBytesMax: number,
    beforeItem: () => void,
  ) {
    this.#connection = connection;
    this.#call = call;
    this.#items = window.items;
    this.#bytes = window.bytes;
    this.#pendingBytesMax = pendingBytesMax;
    this.#beforeItem = beforeItem;
  }

  grant(items: number, bytes: number): void {
    this.#items += items;
    this.#bytes += bytes;
    this.wake();
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Resolves when the handler's iterator ended, rejects when it threw or the call was cancelled. */
  async run(open: () => AsyncIterable<unknown>): Promise<void> {
    const { scope } = this.#call;
    const iterator = open()[Symbol.asyncIterator]();
    const forget = scope.onCancel(() => this.wake());
    let isOver = false;
    try {
      for (;;) {
        await this.#mayProduce();
        if (scope.cancelled) throw scope.cancelled;
        isOver = true;
        const step = await iterator.next();
        if (step.done) return;
        isOver = false;
        if (scope.cancelled) throw scope.cancelled;
        this.#send(step.value);
      }
    } finally {
      forget();
      if (!isOver) await iterator.return?.();
    }
  }

  async #mayProduce(): Promise<void> {
    while (!this.#call.scope.cancelled) {
      const isClogged = this.#connection.socket.writableLength > this.#pendingBytesMax;
      if (this.#items > 0 && this.#bytes > 0 && !isClogged) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #send(value: unknown): void {
    this.#beforeItem();
    const { id, response, isResponseCompiled } = this.#call;
    const { writer } = this.#connection;
    const mark = this.#connection.begin(frameKind.item);
    try {
      writer.uvarint(id);
      if (isResponseCompiled) response.encode(value, writer);
      else response.encodeLoose(value, writer);
      this.#items--;
      this.#bytes -= writer.length - mark;
      this.#connection.end(mark);
    } catch (thrown) {
      writer.rewind(mark);
      throw responseUnsendable(thrown);
    }
  }
}
