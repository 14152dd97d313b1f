import { frameTooLarge, mismatch } from "./errors.ts";

/** What Node's Buffer has and its types leave out: the native halves of `write`, without its argument handling. */
interface NativeBuffer extends Buffer {
  latin1Write(text: string, at: number, byteCount: number): number;
  utf8Write(text: string, at: number, byteCount: number): number;
}

const slabBytes = 64 * 1024;
/** A slab with less left than this is given away whole rather than continued. */
const remainderBytesMin = 4 * 1024;
const shortChars = 64;

const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);

/**
 * Bytes being written: grows as needed, and gives what it holds away without a copy (`take`), going on in the rest of
 * the same slab. What `take` returned is never touched again.
 *
 * `limit` bounds what may be added; a write that has to grow beyond it throws FRAME_TOO_LARGE, and the caller rewinds to
 * the mark (`length`) that it noted before. Memory is what it guards: the exact size is checked by whoever ends a frame.
 */
export class Writer {
  bytes: NativeBuffer = allocate(slabBytes);
  at = 0;
  depth = 0;
  #start = 0;
  #limitBytes = Number.POSITIVE_INFINITY;
  #ceiling = Number.POSITIVE_INFINITY;

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.at - this.#start;
  }

  take(): Buffer {
    const taken = this.bytes.subarray(this.#start, this.at);
    if (this.bytes.length - this.at < remainderBytesMin) {
      this.bytes = allocate(slabBytes);
      this.at = 0;
    }
    this.#start = this.at;
    return taken;
  }

  /** From here on at most `byteCount` more. */
  limit(byteCount: number): void {
    this.#limitBytes = byteCount;
    this.#ceiling = this.length + byteCount;
  }

  /** Forgets what was written after `length` was `mark`. */
  rewind(mark: number): void {
    this.at = this.#start + mark;
  }

  ensure(byteCount: number): void {
    if (this.at + byteCount > this.bytes.length) this.#grow(byteCount);
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.at++] = value;
  }

  /** Overwrites four bytes, little end first, at the mark `mark`. */
  patchUint32(mark: number, value: number): void {
    this.bytes.writeUInt32LE(value, this.#start + mark);
  }

  uint32(value: number): void {
    this.ensure(4);
    this.at = this.bytes.writeUInt32LE(value, this.at);
  }

  /** 32-bit words, big end first. */
  words(words: Int32Array): void {
    this.ensure(words.length * 4);
    const { bytes } = this;
    for (let i = 0; i < words.length; i++) {
      const word = words[i] as number;
      bytes[this.at++] = word >>> 24;
      bytes[this.at++] = word >>> 16;
      bytes[this.at++] = word >>> 8;
      bytes[this.at++] = word;
    }
  }

  /** 0 to 2^32 - 1 in one to five bytes (LEB128). */
  uvarint(value: number): void {
    this.ensure(5);
    let rest = value >>> 0;
    while (rest > 127) {
      this.bytes[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  /**
   * Any number. Safe integers take one to eight bytes: the first has a continuation bit, the sign and six bits, the
   * others seven bits each. "Minus zero in one byte" announces eight bytes of float64: fractions, huge ones, -0, NaN.
   */
  number(value: number): void {
    if (typeof value !== "number") throw mismatch("a number", value);
    this.ensure(9);
    if (Number.isSafeInteger(value) && (value !== 0 || 1 / value > 0)) this.#integer(value);
    else {
      this.bytes[this.at++] = 0x40;
      doubles[0] = value;
      this.bytes.set(doubleBytes, this.at);
      this.at += 8;
    }
  }

  #integer(value: number): void {
    const sign = value < 0 ? 0x40 : 0;
    let rest = sign ? -value : value;
    if (rest < 64) {
      this.bytes[this.at++] = sign | rest;
      return;
    }
    this.bytes[this.at++] = 0x80 | sign | (rest % 64);
    rest = Math.floor(rest / 64);
    while (rest > 0x7fff_ffff) {
      this.bytes[this.at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.bytes[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  boolean(value: boolean): void {
    if (typeof value !== "boolean") throw mismatch("a boolean", value);
    this.byte(value ? 1 : 0);
  }

  null(value: null | undefined): void {
    if (value !== null && value !== undefined) throw mismatch("null", value);
    this.byte(0);
  }

  /** Byte count times two, plus one when all ASCII; then the bytes. A header of 0 never occurs: "" is ASCII. */
  string(value: string): void {
    if (typeof value !== "string") throw mismatch("a string", value);
    const length = value.length;
    if (length >= shortChars) {
      this.#longString(value);
      return;
    }
    this.ensure(length + 1);
    const bytes = this.bytes;
    let at = this.at + 1;
    for (let i = 0; i < length; i++) {
      const char = value.charCodeAt(i);
      if (char > 127) {
        this.#longString(value);
        return;
      }
      bytes[at++] = char;
    }
    bytes[this.at] = (length << 1) | 1;
    this.at = at;
  }

  #longString(value: string): void {
    const byteCount = Buffer.byteLength(value);
    const isAscii = byteCount === value.length;
    this.uvarint(byteCount * 2 + (isAscii ? 1 : 0));
    this.ensure(byteCount);
    if (isAscii) this.bytes.latin1Write(value, this.at, byteCount);
    else this.bytes.utf8Write(value, this.at, byteCount);
    this.at += byteCount;
  }

  raw(value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) throw mismatch("bytes (Uint8Array)", value);
    this.uvarint(value.byteLength);
    this.ensure(value.byteLength);
    this.bytes.set(value, this.at);
    this.at += value.byteLength;
  }

  #grow(byteCount: number): void {
    const pending = this.length;
    if (pending + byteCount > this.#ceiling) throw frameTooLarge(this.#limitBytes);
    const grown = allocate(Math.max(slabBytes, (pending + byteCount) * 2));
    this.bytes.copy(grown, 0, this.#start, this.at);
    this.bytes = grown;
    this.#start = 0;
    this.at = pending;
  }
}

function allocate(byteCount: number): NativeBuffer {
  return Buffer.allocUnsafeSlow(byteCount) as NativeBuffer;
}
