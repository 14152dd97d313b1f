import { promisify } from "node:util";
import type { BrotliOptions, ZlibOptions } from "node:zlib";
import { brotliCompress, brotliCompressSync, constants, gzip, gzipSync } from "node:zlib";
import type { Size } from "../base/index.ts";
import { parseSize } from "../base/index.ts";
import { wrongGateway } from "./errors.ts";
import type { ContentCoding } from "./negotiation.ts";

export interface CompressionOptions {
  /** Answers smaller than this are sent as they are. Default 1 KiB. */
  readonly minBytes?: Size;
}

export interface Compression {
  readonly minBytes: number;
  /** The bytes, at once for small bodies, from a worker thread for large ones. */
  compress(coding: Exclude<ContentCoding, "identity">, body: Buffer): Buffer | Promise<Buffer>;
}

/** Up to here compressing takes less time than handing over to another thread would. */
const syncBytesMax = 16 * 1024;
const gzipAsync = promisify<Buffer, ZlibOptions, Buffer>(gzip);
const brotliAsync = promisify<Buffer, BrotliOptions, Buffer>(brotliCompress);

export function compileCompression(options: CompressionOptions | false | undefined): Compression | undefined {
  if (options === false) return undefined;
  const minBytes = parseSize(options?.minBytes ?? 1024);
  if (minBytes === undefined) {
    throw wrongGateway(
      "COMPRESSION_INVALID",
      'gateway: compression.minBytes: write a size such as "1kb", or compression: false.',
    );
  }
  return {
    minBytes,
    compress(coding, body) {
      if (coding === "gzip")
        return body.length <= syncBytesMax ? gzipSync(body, gzipOptions) : gzipAsync(body, gzipOptions);
      const options = brotliOptions(body.length);
      return body.length <= syncBytesMax ? brotliCompressSync(body, options) : brotliAsync(body, options);
    },
  };
}

const gzipOptions: ZlibOptions = { level: 6 };

/** Quality 4 is about as fast as gzip 6 and smaller. A window no larger than the body saves megabytes for each call. */
function brotliOptions(bodyBytes: number): BrotliOptions {
  const window = Math.min(22, Math.max(10, Math.ceil(Math.log2(bodyBytes + 1))));
  return {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 4,
      [constants.BROTLI_PARAM_LGWIN]: window,
      [constants.BROTLI_PARAM_SIZE_HINT]: bodyBytes,
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    },
  };
}
