import { frameTooLarge, malformed } from "./errors.ts";
import { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/**
 * Frames on a byte stream: four bytes of length (little end first; of what follows), one byte of kind, the payload.
 *
 * Limits: a frame, kind included, is at most `limitBytes` long, 4 MiB unless told otherwise. Writing a larger one throws
 * FRAME_TOO_LARGE and leaves no trace; reading the length of one throws it before a byte of it is kept.
 */
export const frameBytesMax: number = 4 * 1024 * 1024;

/** Starts a frame. Returns the mark that `endFrame`, or on failure `writer.rewind`, wants. */
export function beginFrame(writer: Writer, kind: number, limitBytes: number = frameBytesMax): number {
  const mark = writer.length;
  writer.limit(Number.POSITIVE_INFINITY);
  writer.uint32(0);
  writer.byte(kind);
  writer.limit(limitBytes);
  return mark;
}

export function endFrame(writer: Writer, mark: number, limitBytes: number = frameBytesMax): void {
  const byteCount = writer.length - mark - 4;
  if (byteCount > limitBytes) {
    writer.rewind(mark);
    throw frameTooLarge(limitBytes);
  }
  writer.patchUint32(mark, byteCount);
}

/**
 * Cuts a byte stream into frames. `feed` calls `onFrame` for each whole one, with a reader over its payload that is valid
 * during the call only. After it has thrown, the stream is lost: close it.
 *
 * Keeps at most one unfinished frame, and no more of it than has arrived.
 */
export class FrameReader {
  /** May be raised once the peer is known. */
  limitBytes: number;
  readonly #onFrame: (kind: number, payload: Reader) => void;
  readonly #reader = new Reader();
  #parts: Buffer[] = [];
  #heldBytes = 0;
  /** How many bytes must be there before it is worth looking again. */
  #wantedBytes = 4;

  constructor(onFrame: (kind: number, payload: Reader) => void, limitBytes: number = frameBytesMax) {
    this.#onFrame = onFrame;
    this.limitBytes = limitBytes;
  }

  feed(chunk: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#cut(chunk);
      return;
    }
    this.#parts.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return;
    const whole = Buffer.concat(this.#parts, this.#heldBytes);
    this.#parts = [];
    this.#heldBytes = 0;
    this.#cut(whole);
  }

  #cut(bytes: Buffer): void {
    let at = 0;
    this.#wantedBytes = 4;
    this.#reader.reset(bytes, 0, 0);
    while (bytes.length - at >= 4) {
      const byteCount = bytes.readUInt32LE(at);
      if (byteCount > this.limitBytes) throw frameTooLarge(this.limitBytes);
      if (byteCount === 0) throw malformed("a frame is empty");
      const end = at + 4 + byteCount;
      if (end > bytes.length) {
        this.#wantedBytes = 4 + byteCount;
        break;
      }
      this.#reader.moveTo(at + 5, end);
      this.#onFrame(bytes[at + 4] as number, this.#reader);
      at = end;
    }
    if (at === bytes.length) return;
    this.#parts.push(at === 0 ? bytes : bytes.subarray(at));
    this.#heldBytes = bytes.length - at;
  }
}
