import type { Part } from "./exchange.ts";
import { lookBytesMax } from "./exchange.ts";

/**
 * Cuts a stream of messages that begin with their length. Whole messages where they are short; a longer one in pieces,
 * the first of which has `lookBytesMax` bytes. Keeps no more than that.
 */
export interface PrefixFramer {
  push(chunk: Buffer): Part[];
}

export interface Prefix {
  readonly headBytes: number;
  /** Of the whole message, from its head. Undefined: this is no such stream. */
  totalBytes(head: Buffer): number | undefined;
}

/**
 * `prefix` is asked for each message anew, since some lines begin in another way. `lost` is called once when the stream
 * is not what it should be; from then on everything is one endless piece.
 */
export function createPrefixFramer(prefix: () => Prefix, lost: () => void): PrefixFramer {
  let held: Buffer = Buffer.alloc(0);
  /** What is still to come of a message whose beginning was passed on. */
  let left = 0;
  let isLost = false;

  const next = (): Part | undefined => {
    if (held.length === 0) return undefined;
    if (isLost || left > 0) {
      const length = isLost ? held.length : Math.min(left, held.length);
      const bytes = held.subarray(0, length);
      held = held.subarray(length);
      if (!isLost) left -= length;
      return { bytes, first: false, last: !isLost && left === 0 };
    }
    const { headBytes, totalBytes } = prefix();
    if (held.length < headBytes) return undefined;
    const total = totalBytes(held);
    if (total === undefined || total < headBytes) {
      isLost = true;
      lost();
      return next();
    }
    const wanted = Math.min(total, lookBytesMax);
    if (held.length < wanted) return undefined;
    const bytes = held.subarray(0, Math.min(total, held.length));
    held = held.subarray(bytes.length);
    left = total - bytes.length;
    return { bytes, first: true, last: left === 0 };
  };

  return {
    push(chunk) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const parts: Part[] = [];
      for (let part = next(); part; part = next()) parts.push(part);
      return parts;
    },
  };
}
