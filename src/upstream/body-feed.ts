import { Readable } from "node:stream";

/**
 * A request's body on its way to one target. Reads its source only when it is read itself, and leaves it where it is when
 * the exchange ends early: destroying it would take the client's connection down, and the client is still to be answered.
 */
export class BodyFeed extends Readable {
  /** Whether anything was taken from the source; if not, another target can have it. */
  hasBegun = false;
  /** What the source failed with. */
  sourceFailure: Error | undefined = undefined;
  readonly #source: Readable;

  constructor(source: Readable) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    // Whoever sends it hears of a failure through the exchange, and may have stopped listening here.
    this.on("error", () => {});
  }

  override _read(): void {
    if (this.hasBegun) this.#source.resume();
    else this.#begin();
  }

  override _destroy(cause: Error | null, callback: (cause?: Error | null) => void): void {
    const source = this.#source;
    source.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onError).off("close", this.#onClose);
    if (this.hasBegun && !source.readableEnded && !source.destroyed) source.pause();
    callback(cause);
  }

  #begin(): void {
    this.hasBegun = true;
    const source = this.#source;
    if (source.readableEnded) this.#onEnd();
    else if (source.destroyed) this.#onClose();
    else source.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#source.pause();
  };
  readonly #onEnd = (): void => void this.push(null);
  readonly #onError = (cause: Error): void => {
    this.sourceFailure = cause;
    this.destroy(cause);
  };
  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.#onError(this.#source.errored ?? new Error("the body ended before its end"));
  };
}
