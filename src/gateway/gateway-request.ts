import { IncomingMessage } from "node:http";

/** Who wants a body as it comes. */
export interface BodyTaker {
  /** It wants nothing of it any more: the rest is the stream's. */
  readonly isOver: boolean;
  onChunk(chunk: Buffer): void;
  /** Nothing more comes. */
  onWhole(): void;
}

/**
 * A request of our own server, for whose body the stream need not run: one that is wanted whole goes to its taker as the
 * parser finds it, and one that is none ends without a word. Buffers, listeners and the four ticks of a stream's end cost
 * more than reading a small body. Until somebody says so it is the stream that it always is.
 */
export class GatewayRequest extends IncomingMessage {
  /** Node's own: what is left of the body when the answer is out is thrown away, or was already. */
  declare _dumped: boolean;
  /** Node's own: it keeps a request whose stream has not ended for as long as its connection is idle. */
  declare _readableState: { endEmitted: boolean };
  declare taker: BodyTaker | undefined;
  /** The stream has something of the body, or knows its end: it is too late for a taker. */
  declare hasBegun: boolean;

  /** The taker gets the body. False when it is too late for that, or somebody else waits for the stream's end. */
  handTo(taker: BodyTaker): boolean {
    if (this.hasBegun || this.listenerCount("end") > 0) return false;
    this.taker = taker;
    return true;
  }

  /** There is no body, and nobody waits for its end. */
  forgo(): void {
    this.taker = nobody;
    leaveStream(this);
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const { taker } = this;
    if (taker === undefined || taker.isOver) {
      this.hasBegun = true;
      return super.push(chunk, encoding);
    }
    if (chunk === null) {
      leaveStream(this);
      taker.onWhole();
    } else taker.onChunk(chunk);
    return true;
  }
}

GatewayRequest.prototype.taker = undefined;
GatewayRequest.prototype.hasBegun = false;

/** For Node, the stream is over. */
function leaveStream(req: GatewayRequest): void {
  req._dumped = true;
  req._readableState.endEmitted = true;
}

const nobody: BodyTaker = { isOver: false, onChunk() {}, onWhole() {} };
