import { promisify } from "node:util";
import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";

/**
 * Texts as an outside engine keeps them: those above a size are compressed, if that makes them a tenth smaller at least.
 *
 * A compressed text begins with a character that no JSON begins with, so packed and plain ones mix, and a process that
 * compresses can be rolled out beside one that does not yet. It stays a text (Base64), as the port wants it.
 *
 * What does not unpack, or would become larger than `bytesMax`, is not there: `undefined`. Small texts are packed at
 * once, those from 64 KiB on a thread of libuv's.
 */
export class Packing {
  readonly #aboveBytes: number;
  readonly #bytesMax: number;

  constructor(options: { aboveBytes: number; bytesMax: number }) {
    this.#aboveBytes = options.aboveBytes;
    this.#bytesMax = options.bytesMax;
  }

  async pack(text: string): Promise<string> {
    // A character takes one to three bytes: most texts need no counting.
    if (text.length * 3 <= this.#aboveBytes || Buffer.byteLength(text) <= this.#aboveBytes) return text;
    const bytes = text.length < threadBytesMin ? gzipSync(text, fast) : await gzipAsync(text, fast);
    const packed = marker + bytes.toString("base64");
    return packed.length < text.length * 0.9 ? packed : text;
  }

  isPacked(text: string): boolean {
    return text.startsWith(marker);
  }

  async unpack(text: string): Promise<string | undefined> {
    if (!this.isPacked(text)) return text;
    const bytes = Buffer.from(text.slice(marker.length), "base64");
    const bounded = { maxOutputLength: this.#bytesMax };
    try {
      const plain = text.length < threadBytesMin ? gunzipSync(bytes, bounded) : await gunzipAsync(bytes, bounded);
      return plain.toString();
    } catch {
      return undefined;
    }
  }
}

const marker = "\u0001g";
const threadBytesMin = 65_536;
/** Level 1 takes half the time of the default, for a tenth more bytes. */
const fast = { level: 1 };
const gzipAsync = promisify<string, object, Buffer>(gzip);
const gunzipAsync = promisify<Buffer, object, Buffer>(gunzip);
