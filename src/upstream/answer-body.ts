import { Readable } from "node:stream";

/** What an answer's body can do to the exchange that it comes from. */
export interface BodySource {
  pause(): void;
  resume(): void;
  /** Nobody wants the rest. */
  leave(): void;
}

/** The body of a target's answer. A slow reader holds the target back, one that goes away ends the exchange. */
export class AnswerBody extends Readable {
  readonly #source: BodySource;

  constructor(source: BodySource) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    // It may break off before anybody has taken it; whoever takes it then finds it `errored`.
    this.on("error", () => {});
  }

  add(chunk: Buffer): void {
    if (!this.push(chunk)) this.#source.pause();
  }

  finish(): void {
    this.push(null);
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(cause: Error | null, callback: (cause?: Error | null) => void): void {
    this.#source.leave();
    callback(cause);
  }
}
