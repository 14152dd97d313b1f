import { BrokenAnswer } from "./answer-head.ts";

/** Of a line that tells a size, its extensions included. */
const lineCharsMax = 1024;
/** Of what may follow the last chunk; it is read and thrown away. */
const trailerCharsMax = 16 * 1024;

/** A size, and extensions that nobody wants. No blanks: readers differ on what they mean. */
const sizeLine =
  /^([0-9A-Fa-f]{1,12})(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"[\t\x20\x21\x23-\x5b\x5d-\x7e]*"))?)*$/;

const trailerLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;

const [size, data, dataEnd, trailer, done] = [0, 1, 2, 3, 4] as const;

/** Takes a chunked body apart (RFC 9112, 7.1), however it is cut into pieces on its way. Strict about line ends. */
export class ChunkedBody {
  #state: typeof size | typeof data | typeof dataEnd | typeof trailer | typeof done = size;
  #line = "";
  #leftBytes = 0;
  #trailerChars = 0;

  get isDone(): boolean {
    return this.#state === done;
  }

  /**
   * Reads from `at` up to the end of one piece of the body at most, and tells where it stopped. `piece` is what of the
   * body lies there, or undefined.
   */
  read(bytes: Buffer, at: number): { readonly next: number; readonly piece: Buffer | undefined } {
    let next = at;
    while (next < bytes.length && this.#state !== done) {
      if (this.#state === data) {
        const end = Math.min(bytes.length, next + this.#leftBytes);
        this.#leftBytes -= end - next;
        if (this.#leftBytes === 0) this.#state = dataEnd;
        return { next: end, piece: bytes.subarray(next, end) };
      }
      next = this.#readLine(bytes, next);
    }
    return { next, piece: undefined };
  }

  #readLine(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(0x0a, at);
    const end = found === -1 ? bytes.length : found + 1;
    this.#line += bytes.toString("latin1", at, end);
    if (this.#line.length > (this.#state === trailer ? trailerCharsMax : lineCharsMax))
      throw new BrokenAnswer("a chunk is told of in too many words");
    if (found === -1) return end;
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r\n")) throw new BrokenAnswer("a chunk's line does not end with CR LF");
    this.#takeLine(line.slice(0, -2));
    return end;
  }

  #takeLine(line: string): void {
    if (this.#state === size) this.#begin(line);
    else if (this.#state === dataEnd) {
      if (line !== "") throw new BrokenAnswer("a chunk is longer than it says");
      this.#state = size;
    } else {
      this.#trailerChars += line.length;
      if (this.#trailerChars > trailerCharsMax) throw new BrokenAnswer("its trailers are too long");
      if (line === "") this.#state = done;
      else if (!trailerLine.test(line)) throw new BrokenAnswer("a trailer is no header");
    }
  }

  #begin(line: string): void {
    const hex = sizeLine.exec(line)?.[1];
    if (hex === undefined) throw new BrokenAnswer("the size of a chunk is none");
    this.#leftBytes = Number.parseInt(hex, 16);
    this.#state = this.#leftBytes === 0 ? trailer : data;
  }
}
