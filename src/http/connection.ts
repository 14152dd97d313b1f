import type { Socket } from "node:net";
import type { PlinthError } from "../base/index.ts";
import { deadlineExceeded } from "../base/index.ts";
import type { AnswerHead } from "./answer-head.ts";
import { BrokenAnswer, chunked, parseAnswerHead, untilClose } from "./answer-head.ts";
import { ChunkedBody } from "./chunked-body.ts";
import type { WholeExchange } from "./whole-exchange.ts";

/** Who has the connection. */
export interface ConnectionOwner {
  readonly headerBytes: number;
  /** In milliseconds, as of the last look at the clock. */
  readonly nowMs: number;
  /** An answer is over, and another request may be put on it. */
  onFree(connection: Connection): void;
  /** It cannot be used any more. Once. */
  onGone(connection: Connection): void;
  failureOf(cause: Error): PlinthError;
}

/** How exact times are. */
export const lookEveryMs = 500;

const endOfHead = Buffer.from("\r\n\r\n");
const nothing = Buffer.alloc(0);

/**
 * One connection of HTTP/1.1, with one exchange on it at a time. What it reads is good only while it is read: whatever
 * stays is copied. Whoever talks without having been asked, or behind the end of an answer, is hung up on.
 */
export class Connection {
  readonly bornMs: number;
  idleSinceMs: number;
  /** How long the other side keeps it without work, where it says so. */
  keptMs: number | undefined = undefined;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #exchange: WholeExchange | undefined = undefined;
  #head: AnswerHead | undefined = undefined;
  /** The beginning of a head. */
  #begun: Buffer | undefined = undefined;
  #leftBytes = 0;
  #chunks: ChunkedBody | undefined = undefined;
  /** What came while nobody wanted it. */
  #held: Buffer | undefined = undefined;
  #isPaused = false;
  #isReading = false;
  #isGone = false;
  #isResting = false;
  #movedMs: number;

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.bornMs = owner.nowMs;
    this.idleSinceMs = owner.nowMs;
    this.#movedMs = owner.nowMs;
    socket.on("error", (cause) => this.#lose(cause));
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#lose(new Error("the connection was closed")));
  }

  send(exchange: WholeExchange): void {
    const { text, body } = exchange.bytes;
    this.#exchange = exchange;
    this.#movedMs = this.#owner.nowMs;
    exchange.connection = this;
    if (this.#isResting) {
      this.#isResting = false;
      this.#socket.ref();
    }
    if (body) {
      this.#socket.cork();
      this.#socket.write(text, "latin1");
      this.#socket.write(body);
      this.#socket.uncork();
    } else this.#socket.write(text, "latin1");
  }

  /** `bytes` are good until this returns. */
  read(bytes: Buffer): void {
    if (this.#held) {
      this.#held = Buffer.concat([this.#held, bytes]);
      return;
    }
    if (!this.#exchange) {
      this.destroy();
      return;
    }
    // Until its head is there, an answer has its time from when the request was sent, however it drips.
    if (this.#head) this.#movedMs = this.#owner.nowMs;
    this.#isReading = true;
    try {
      this.#take(bytes);
    } catch (thrown) {
      this.#lose(thrown instanceof Error ? thrown : new Error(String(thrown)));
    } finally {
      this.#isReading = false;
    }
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#movedMs = this.#owner.nowMs;
    if (this.#isReading) {
      this.#socket.resume();
      return;
    }
    const held = this.#held;
    this.#held = undefined;
    if (held) this.read(held);
    if (!this.#isPaused && !this.#isGone) this.#socket.resume();
  }

  /** Ends it. Its exchange hears nothing of that. */
  destroy(): void {
    this.#exchange = undefined;
    this.#leave();
  }

  /** Ends it, and tells its exchange why. */
  fail(reason: PlinthError): void {
    const exchange = this.#exchange;
    this.destroy();
    exchange?.fail(reason);
  }

  /** Ends an exchange that has taken too long. */
  look(): void {
    const exchange = this.#exchange;
    if (!exchange || this.#isPaused) return;
    const { headTimeoutMs, bodyTimeoutMs } = exchange;
    const limitMs = this.#head ? bodyTimeoutMs : headTimeoutMs;
    if (limitMs > 0 && this.#owner.nowMs - this.#movedMs >= limitMs + lookEveryMs) this.fail(deadlineExceeded());
  }

  /** Its process may end while it is idle. */
  rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#socket.unref();
  }

  #take(given: Buffer): void {
    const exchange = this.#exchange as WholeExchange;
    if (this.#head) {
      this.#takeBody(given, 0);
      return;
    }
    const bytes = this.#begun ? Buffer.concat([this.#begun, given]) : given;
    this.#begun = undefined;
    const at = this.#takeHead(bytes, exchange.isForHead);
    const head = this.#head as AnswerHead | undefined;
    if (!head) return;
    this.#movedMs = this.#owner.nowMs;
    const { events } = exchange;
    if (events.onWhole && head.body >= 0 && bytes.length - at >= head.body) {
      const body = head.body === 0 ? nothing : bytes.subarray(at, at + head.body);
      this.#finish(bytes.length - at - head.body);
      events.onWhole(head.status, head.headers, body);
      return;
    }
    this.#leftBytes = head.body;
    this.#chunks = head.body === chunked ? new ChunkedBody() : undefined;
    events.onHead(head.status, head.headers);
    this.#takeBody(bytes, at);
  }

  /** Where its body begins; without a head yet, what there is of it is kept. */
  #takeHead(bytes: Buffer, isForHead: boolean): number {
    for (let at = 0; ; ) {
      const end = bytes.indexOf(endOfHead, at);
      if ((end === -1 ? bytes.length : end) - at > this.#owner.headerBytes)
        throw new BrokenAnswer("its headers are too long");
      if (end === -1) {
        this.#begun = Buffer.from(bytes.subarray(at));
        return bytes.length;
      }
      const head = parseAnswerHead(bytes.toString("latin1", at, end), isForHead);
      at = end + endOfHead.length;
      if (head.status === 101) throw new BrokenAnswer("it changed to a protocol that nobody asked for");
      if (head.status < 200) continue;
      this.#head = head;
      return at;
    }
  }

  #takeBody(bytes: Buffer, from: number): void {
    const exchange = this.#exchange;
    for (let at = from; exchange && this.#exchange === exchange; ) {
      if (this.#chunks ? this.#chunks.isDone : this.#leftBytes === 0) {
        this.#finish(bytes.length - at);
        exchange.events.onEnd();
        return;
      }
      if (at >= bytes.length) return;
      if (this.#isPaused) {
        this.#held = Buffer.from(bytes.subarray(at));
        return;
      }
      const { next, piece } = this.#chunks ? this.#chunks.read(bytes, at) : this.#plainPiece(bytes, at);
      at = next;
      if (piece) exchange.events.onChunk(Buffer.from(piece));
    }
  }

  #plainPiece(bytes: Buffer, at: number): { readonly next: number; readonly piece: Buffer } {
    if (this.#leftBytes === untilClose) return { next: bytes.length, piece: bytes.subarray(at) };
    const next = Math.min(bytes.length, at + this.#leftBytes);
    this.#leftBytes -= next - at;
    return { next, piece: bytes.subarray(at, next) };
  }

  /** The answer is whole; `restBytes` came behind it. */
  #finish(restBytes: number): void {
    const head = this.#head as AnswerHead;
    (this.#exchange as WholeExchange).isOver = true;
    this.#exchange = undefined;
    this.#head = undefined;
    this.#chunks = undefined;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    this.keptMs = keptMsOf(head.headers["keep-alive"]);
    const isKept = head.keepsAlive && restBytes === 0 && this.#socket.writableLength === 0 && this.keptMs !== 0;
    if (isKept && !this.#isGone) this.#owner.onFree(this);
    else this.#leave();
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    if (exchange && this.#head?.body === untilClose) {
      this.#finish(0);
      exchange.events.onEnd();
    } else this.#lose(new Error("the other side closed the connection"));
  }

  #lose(cause: Error): void {
    if (!this.#isGone) this.fail(this.#owner.failureOf(cause));
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#held = undefined;
    this.#begun = undefined;
    this.#socket.destroy();
    this.#owner.onGone(this);
  }
}

/** The other side closes it when it says; a request must not cross that on its way. */
const aheadMs = 2000;
const keptMsMax = 600_000;

/** Undefined where it says nothing; 0 when it is not to be used again. */
function keptMsOf(hint: string | string[] | undefined): number | undefined {
  if (hint === undefined) return undefined;
  const seconds = /timeout=(\d{1,9})/i.exec(String(hint))?.[1];
  return seconds === undefined ? undefined : Math.min(keptMsMax, Math.max(0, Number(seconds) * 1000 - aheadMs));
}
