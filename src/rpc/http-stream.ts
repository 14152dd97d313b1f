import type { IncomingHttpHeaders } from "node:http";
import type { PlinthError } from "../base/index.ts";
import { toPlinthError } from "../base/index.ts";
import type { ExchangeEvents } from "../http/index.ts";
import { answerUnreadable } from "../http/index.ts";
import { ClientStream } from "./client-stream.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { HttpItem, ItemDecoder } from "./http-items.ts";
import { itemDecoderOf } from "./http-items.ts";
import type { StreamWindow } from "./protocol.ts";

/** Ends the exchange when called; holds the answer's body back in between. */
export interface ExchangeControl {
  (): void;
  pause(): void;
  resume(): void;
}

export interface HttpStreamOptions {
  readonly parse: (value: unknown) => unknown;
  readonly itemChars: number;
  /** How far the body is read ahead of the consumer. */
  readonly window: StreamWindow;
  /** Takes the body of an answer that is an error. */
  readonly answer: HttpAnswer;
}

/** A streaming answer on its way to its consumer. A slow consumer holds the body back; one that leaves ends it. */
export class HttpStream implements ExchangeEvents {
  readonly items: ClientStream;
  control: ExchangeControl | undefined = undefined;
  readonly #options: HttpStreamOptions;
  #decoder: ItemDecoder | undefined = undefined;
  #aheadItems = 0;
  #aheadChars = 0;

  constructor(options: HttpStreamOptions) {
    this.#options = options;
    this.items = new ClientStream(options.window, {
      cancel: () => this.control?.(),
      grant: (items, chars) => this.#grant(items, chars),
    });
  }

  onHead(status: number, headers: IncomingHttpHeaders): void {
    const { answer, itemChars } = this.#options;
    answer.begin(status, headers);
    if (!answer.isSuccess) return;
    this.#decoder = itemDecoderOf(answer.contentType, itemChars);
    if (!this.#decoder) this.#fail(answerUnreadable(`its content type is "${answer.contentType}"`));
  }

  onChunk(chunk: Buffer): void {
    const { answer } = this.#options;
    if (!this.#decoder) {
      if (!answer.add(chunk)) this.#fail(answer.problem());
      return;
    }
    this.#decode((decoder) => decoder.push(chunk));
    if (this.#isFarAhead) this.control?.pause();
  }

  get #isFarAhead(): boolean {
    const { items, bytes } = this.#options.window;
    return this.#aheadItems >= items || this.#aheadChars >= bytes;
  }

  onEnd(): void {
    if (!this.#decoder) {
      this.items.fail(this.#options.answer.problem());
      return;
    }
    this.#decode((decoder) => decoder.finish());
    this.items.end();
  }

  onFailure(reason: PlinthError): void {
    this.items.fail(reason);
  }

  #decode(read: (decoder: ItemDecoder) => readonly HttpItem[]): void {
    try {
      for (const item of read(this.#decoder as ItemDecoder)) {
        if (item.kind === "item") this.#push(item.value, item.charCount);
        else if (item.kind === "error") this.#fail(item.error);
        else {
          this.control?.();
          this.items.end();
        }
      }
    } catch (thrown) {
      this.#fail(toPlinthError(thrown));
    }
  }

  #push(value: unknown, charCount: number): void {
    let parsed: unknown;
    try {
      parsed = this.#options.parse(value);
    } catch (cause) {
      throw answerUnreadable("an item is not what the contract says", cause);
    }
    this.#aheadItems++;
    this.#aheadChars += charCount;
    this.items.push(parsed, charCount);
  }

  #grant(items: number, chars: number): void {
    this.#aheadItems -= items;
    this.#aheadChars -= chars;
    if (!this.#isFarAhead) this.control?.resume();
  }

  #fail(reason: PlinthError): void {
    this.control?.();
    this.items.fail(reason);
  }
}
