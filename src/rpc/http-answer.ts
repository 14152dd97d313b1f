import type { IncomingHttpHeaders } from "node:http";
import type { Clock, PlinthError } from "../base/index.ts";
import { answerUnreadable } from "../http/index.ts";
import { fromProblem } from "../wire/index.ts";

/** Of an answer that says what went wrong; the rest is not read. */
const problemBytesMax = 64 * 1024;

/** The answer to a request, as it comes in, and what it means. */
export class HttpAnswer {
  readonly #bodyBytesMax: number;
  readonly #clock: Clock;
  readonly #chunks: Buffer[] = [];
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #byteCount = 0;

  constructor(bodyBytesMax: number, clock: Clock) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#clock = clock;
  }

  get isSuccess(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  get contentType(): string {
    return this.#headers["content-type"] ?? "";
  }

  begin(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  /** False when that was too much: end the exchange, and settle. */
  add(chunk: Buffer): boolean {
    this.#byteCount += chunk.length;
    if (this.#byteCount > (this.isSuccess ? this.#bodyBytesMax : problemBytesMax)) return false;
    this.#chunks.push(chunk);
    return true;
  }

  settle(
    parse: (value: unknown) => unknown,
    resolve: (value: unknown) => void,
    reject: (reason: PlinthError) => void,
  ): void {
    if (!this.isSuccess) reject(this.problem());
    else if (this.#byteCount > this.#bodyBytesMax)
      reject(answerUnreadable(`its body is over ${this.#bodyBytesMax} bytes`));
    else {
      let value: unknown;
      try {
        value = parse(this.#json());
      } catch (cause) {
        // Also a validation error: what an outside service answers is no mistake of our caller.
        reject(answerUnreadable("its body is not what the contract says", cause));
        return;
      }
      resolve(value);
    }
  }

  problem(): PlinthError {
    const { "retry-after": retryAfter } = this.#headers;
    return fromProblem(this.#status, this.#text(), { retryAfter, wallNowMs: this.#clock.wallNow() });
  }

  #text(): string {
    return Buffer.concat(this.#chunks).toString("utf8");
  }

  #json(): unknown {
    const text = this.#text();
    if (text === "") return undefined;
    const type = this.contentType.split(";")[0]?.trim().toLowerCase() ?? "";
    if (type !== "application/json" && !type.endsWith("+json")) throw new Error(`its content type is "${type}"`);
    return JSON.parse(text);
  }
}
