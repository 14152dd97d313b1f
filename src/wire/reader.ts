import { malformed } from "./errors.ts";

interface NativeBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/**
 * Short text is cut out of a piece of the bytes that was made text at once: a call into C++ for each costs several times as
 * much. Such a text keeps its piece alive for as long as it is kept itself, so pieces are small.
 */
const pieceBytes = 256;
const cutCharsMax = 128;

/**
 * Bytes being read, from `at` to before `end`. Each read checks its bounds: whatever the bytes are, the outcome is a
 * value or WIRE_MALFORMED. Values never share memory with `bytes`.
 */
export class Reader {
  bytes: NativeBuffer;
  at: number;
  end: number;
  depth = 0;
  #piece = "";
  #pieceStart = 0;
  #pieceEnd = -1;

  constructor(bytes: Buffer = Buffer.alloc(0), at = 0, end: number = bytes.length) {
    this.bytes = bytes as NativeBuffer;
    this.at = at;
    this.end = end;
  }

  /** Begins anew: with other bytes, or with the same that have been filled again. */
  reset(bytes: Buffer, at: number, end: number): void {
    this.bytes = bytes as NativeBuffer;
    this.#pieceEnd = -1;
    this.moveTo(at, end);
  }

  /** Goes on elsewhere in the same bytes, which are as they were. */
  moveTo(at: number, end: number): void {
    this.at = at;
    this.end = end;
    this.depth = 0;
  }

  /** Throws unless everything was read. */
  finish(): void {
    if (this.at !== this.end) throw malformed("it goes on after its end");
  }

  byte(): number {
    if (this.at >= this.end) throw malformed("it ends early");
    return this.bytes[this.at++] as number;
  }

  /** As many 32-bit words, big end first, as `into` has places. */
  words(into: Int32Array): void {
    const { bytes } = this;
    let { at } = this;
    if (into.length * 4 > this.end - at) throw malformed("it ends early");
    for (let i = 0; i < into.length; i++) {
      into[i] =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number);
      at += 4;
    }
    this.at = at;
  }

  uvarint(): number {
    let byte = this.byte();
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let factor = 128; factor <= 0x1000_0000; factor *= 128) {
      byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw malformed("a length is out of range");
  }

  /** How many items follow. Each takes at least a byte, so more than what is left is a lie. */
  count(): number {
    const count = this.uvarint();
    if (count > this.end - this.at) throw malformed("a count is larger than what follows");
    return count;
  }

  number(): number {
    const first = this.byte();
    if (first === 0x40) return this.#double();
    let value = first & 63;
    if (first > 127) {
      let byte = 128;
      for (let factor = 64; byte > 127; factor *= 128) {
        byte = this.byte();
        value += (byte & 127) * factor;
        if (value > Number.MAX_SAFE_INTEGER) throw malformed("an integer is out of range");
      }
    }
    return (first & 64) === 0 ? value : -value;
  }

  #double(): number {
    if (this.end - this.at < 8) throw malformed("it ends early");
    const value = this.bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  boolean(): boolean {
    const byte = this.byte();
    if (byte > 1) throw malformed("a boolean is neither true nor false");
    return byte === 1;
  }

  null(): null {
    if (this.byte() !== 0) throw malformed("a null is none");
    return null;
  }

  string(): string {
    return this.stringAfter(this.uvarint());
  }

  /** The string whose header was read already. */
  stringAfter(header: number): string {
    const byteCount = header >>> 1;
    const start = this.at;
    const end = start + byteCount;
    if (end > this.end) throw malformed("it ends early");
    this.at = end;
    if ((header & 1) === 0) return this.bytes.utf8Slice(start, end);
    return byteCount > cutCharsMax ? this.bytes.latin1Slice(start, end) : this.#cut(start, end);
  }

  #cut(start: number, end: number): string {
    if (start < this.#pieceStart || end > this.#pieceEnd) {
      this.#pieceStart = start;
      this.#pieceEnd = Math.min(start + pieceBytes, this.bytes.length);
      this.#piece = this.bytes.latin1Slice(start, this.#pieceEnd);
    }
    return this.#piece.substring(start - this.#pieceStart, end - this.#pieceStart);
  }

  raw(): Uint8Array {
    const byteCount = this.uvarint();
    const end = this.at + byteCount;
    if (end > this.end) throw malformed("it ends early");
    const value = new Uint8Array(byteCount);
    value.set(this.bytes.subarray(this.at, end));
    this.at = end;
    return value;
  }
}
