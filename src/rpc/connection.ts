import type { Socket } from "node:net";
import type { Clock, PlinthError } from "../base/index.ts";
import { isError, toPlinthError } from "../base/index.ts";
import type { Reader } from "../wire/index.ts";
import { beginFrame, endFrame, FrameReader, Writer } from "../wire/index.ts";
import { connectionLost, peerSilent, protocolBroken } from "./errors.ts";
import { frameKind } from "./protocol.ts";

/**
 * One socket with frames on it, the same for both sides.
 *
 * Frames written in one turn of the event loop leave together, in one write, when the turn's input has been dealt with
 * (`setImmediate`), or as soon as they are 4 KiB: then the peer works on them while we go on.
 *
 * A peer that is not heard gets a ping after one keep-alive period and is given up after the second: with 5 s, a half-open
 * connection is noticed within 10 to 15 s. A pause of our own does not count against the peer; not taking its answers for
 * so long does.
 *
 * Bytes wait here without limit: a client looks at `pendingBytes` before it sends, a server reads no calls while its
 * answers are not taken (`pauseAboveBytes`).
 */
export interface ConnectionOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly frameBytes: number;
  /** The limit until `openUp`. */
  readonly handshakeFrameBytes: number;
  onFrame(kind: number, payload: Reader): void;
  /** Once, with the reason; after it nothing is called any more. */
  onClose(reason: PlinthError): void;
  /** While more bytes than this wait to be taken by the peer, nothing is read from it. Default: reads on. */
  readonly pauseAboveBytes?: number;
  /** Everything handed to the socket has left, after some of it had to wait. */
  onDrain?(): void;
}

/** Less costs more writes than it gains; with more, one side waits while the other works. */
const flushBytes = 4096;

export class Connection {
  readonly socket: Socket;
  readonly writer: Writer = new Writer();
  /** Grows with each flush; a frame written while it was n has left this process once it is above n. */
  flushCount = 0;
  readonly #options: ConnectionOptions;
  readonly #frames: FrameReader;
  readonly #stopKeepAlive: () => void;
  #sendLimitBytes: number;
  #isFlushPlanned = false;
  #isClosed = false;
  #wasHeard = true;
  #silentTicks = 0;
  #lastTickAt: number;

  constructor(options: ConnectionOptions) {
    const { socket, clock, keepAliveMs } = options;
    this.#options = options;
    this.socket = socket;
    this.#sendLimitBytes = options.frameBytes;
    this.#frames = new FrameReader((kind, payload) => this.#receive(kind, payload), options.handshakeFrameBytes);
    this.#lastTickAt = clock.now();
    this.#stopKeepAlive = clock.every(keepAliveMs, () => this.#tick());
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
    socket.on("drain", () => {
      socket.resume();
      options.onDrain?.();
    });
    socket.on("error", (cause) => this.close(connectionLost("maybe", cause)));
    socket.on("end", () => this.close(connectionLost("maybe", undefined)));
    socket.on("close", () => this.close(connectionLost("maybe", undefined)));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes that the peer's machine has not taken yet. */
  get pendingBytes(): number {
    return this.socket.writableLength + this.writer.length;
  }

  /** The handshake is done: frames may be as large as our limit, and those we send as the peer's. */
  openUp(peerFrameBytes: number): void {
    this.#frames.limitBytes = this.#options.frameBytes;
    this.#sendLimitBytes = Math.min(this.#options.frameBytes, peerFrameBytes);
  }

  /** Writes a frame. When `write` throws, or the frame is too large, nothing of it is sent and the error is thrown. */
  send(kind: number, write?: (writer: Writer) => void): void {
    if (this.#isClosed) return;
    const mark = this.begin(kind);
    try {
      write?.(this.writer);
      this.end(mark);
    } catch (thrown) {
      this.writer.rewind(mark);
      throw thrown;
    }
  }

  /** `send` in two halves, for the hot path. On failure between them: `writer.rewind(mark)`. */
  begin(kind: number): number {
    return beginFrame(this.writer, kind, this.#sendLimitBytes);
  }

  end(mark: number): void {
    endFrame(this.writer, mark, this.#sendLimitBytes);
    if (this.writer.length >= flushBytes) this.flush();
    else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      setImmediate(flushPlanned, this);
    }
  }

  flush(): void {
    if (this.#isClosed || this.writer.length === 0) return;
    this.flushCount++;
    this.socket.write(this.writer.take());
    // Asked after the write, which may have got rid of everything at once: then no "drain" will come.
    if (this.socket.writableLength > (this.#options.pauseAboveBytes ?? Number.POSITIVE_INFINITY)) this.socket.pause();
  }

  /** At the end of the turn. */
  flushPlanned(): void {
    this.#isFlushPlanned = false;
    this.flush();
  }

  /** Sends what is there, then ends the connection. */
  finish(reason: PlinthError): void {
    if (this.#isClosed) return;
    this.flush();
    this.#shut(reason);
    this.socket.end();
    // The peer has the answer or not; it does not get to keep the socket open.
    const cancel = this.#options.clock.after(1000, () => this.socket.destroy());
    this.socket.once("close", cancel);
  }

  /** Ends the connection at once. */
  close(reason: PlinthError): void {
    if (this.#isClosed) return;
    this.#shut(reason);
    this.socket.destroy();
  }

  #shut(reason: PlinthError): void {
    this.#isClosed = true;
    this.#stopKeepAlive();
    this.#options.onClose(reason);
  }

  #feed(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#wasHeard = true;
    try {
      this.#frames.feed(chunk);
    } catch (thrown) {
      const ours = isError(thrown, "WIRE_MALFORMED") || isError(thrown, "FRAME_TOO_LARGE");
      this.close(ours ? protocolBroken(thrown.message) : toPlinthError(thrown));
    }
  }

  #receive(kind: number, payload: Reader): void {
    if (this.#isClosed) return;
    if (kind === frameKind.ping) this.send(frameKind.pong);
    else if (kind !== frameKind.pong) this.#options.onFrame(kind, payload);
  }

  #tick(): void {
    const { clock, keepAliveMs } = this.#options;
    const now = clock.now();
    const wasPaused = now - this.#lastTickAt > keepAliveMs * 2;
    this.#lastTickAt = now;
    if (this.#wasHeard || wasPaused) {
      this.#wasHeard = false;
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks++;
    if (this.#silentTicks > 1) this.close(peerSilent());
    else this.send(frameKind.ping);
  }
}

function flushPlanned(connection: Connection): void {
  connection.flushPlanned();
}
