import type { TransformCallback } from "node:stream";
import { Transform } from "node:stream";
import { awaitClient } from "../entrance.ts";
import { bodyTooLarge } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/**
 * A request's body on its way through, counted: above `limitBytes` the request is 413 and what is under way ends. It holds
 * the client back while the outside system takes nothing. It ends early when the client leaves half way.
 */
export class LimitedBody extends Transform {
  readonly #exchange: Exchange;
  readonly #limitBytes: number;

  private constructor(exchange: Exchange, limitBytes: number) {
    super();
    this.#exchange = exchange;
    this.#limitBytes = limitBytes;
  }

  /** Throws 413 when more is announced. Call when the deadline is running: what breaks from here on breaks this request. */
  static of(exchange: Exchange, limitBytes: number): LimitedBody {
    const { req, headers } = exchange;
    const announced = headers["content-length"];
    if (announced !== undefined && Number(announced) > limitBytes) throw bodyTooLarge(limitBytes);
    const body = new LimitedBody(exchange, limitBytes);
    exchange.startReading();
    awaitClient(exchange);
    req.once("end", () => exchange.entrance?.resume(exchange));
    req.pipe(body);
    req.once("close", () => {
      if (!req.complete) body.destroy();
    });
    exchange.atEnd(() => {
      req.unpipe(body);
      body.destroy();
    });
    // Whoever reads it hears of its end by other ways as well.
    body.on("error", () => {});
    return body;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const exchange = this.#exchange;
    exchange.requestBytes += chunk.length;
    if (exchange.requestBytes <= this.#limitBytes) {
      done(null, chunk);
      return;
    }
    const refusal = bodyTooLarge(this.#limitBytes);
    exchange.req.unpipe(this);
    exchange.fail(refusal);
    done(refusal);
  }
}
