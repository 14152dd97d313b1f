import type { Part } from "./exchange.ts";
import { lookBytesMax } from "./exchange.ts";

export interface RespPart extends Part {
  /** The character that begins the message: `*`, `+`, `>`. */
  readonly type: string;
  /** Its first line, at most 100 characters. */
  readonly line: string;
  /** Its first two strings: of a command, the name and the first argument. */
  readonly words: readonly string[];
}

export interface RespFramer {
  push(chunk: Buffer): RespPart[];
}

const wordsMax = 2;
const wordBytesMax = 256;

/** Cuts RESP2 and RESP3 into messages; long ones in pieces. `lost` is called when the stream is something else. */
export function createRespFramer(lost: () => void): RespFramer {
  /** Values that the message still waits for. */
  let left = 1;
  /** Bytes of a bulk string still to come, its line end included; -1 while a line is read. */
  let bulkLeft = -1;
  let line = "";
  let firstLine = "";
  let words: string[] = [];
  let word: { text: string } | undefined;
  let held: Buffer[] = [];
  let heldBytes = 0;
  let begun = false;
  let isLost = false;

  const wordsSoFar = (): string[] => (word ? [...words, word.text] : words);
  const emit = (last: boolean): RespPart => {
    const bytes = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held);
    const part = {
      bytes,
      first: !begun,
      last,
      type: firstLine[0] ?? "",
      line: firstLine.slice(0, 100),
      words: wordsSoFar(),
    };
    held = [];
    heldBytes = 0;
    begun = !last;
    return part;
  };
  const keep = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    held.push(bytes);
    heldBytes += bytes.length;
  };
  const giveUp = (): void => {
    isLost = true;
    lost();
  };

  /** Takes a whole line into account. */
  const endLine = (): void => {
    const text = line.replace(/\r$/, "");
    line = "";
    const isTop = firstLine === "";
    if (isTop) firstLine = text === "" ? " " : text;
    const count = Number(text.slice(1));
    left--;
    if (/^[*~>]/.test(text)) left += Math.max(0, count);
    else if (text.startsWith("%")) left += 2 * count;
    else if (text.startsWith("|")) left += 2 * count + 1;
    else if (/^[$=!]/.test(text) && count >= 0) {
      bulkLeft = count + 2;
      word = words.length < wordsMax ? { text: "" } : undefined;
    } else if (isTop && !/^[-+:_#,($=!]/.test(text)) words = text.split(" ").slice(0, wordsMax);
    if (!Number.isFinite(left) || !Number.isFinite(bulkLeft)) giveUp();
  };
  const endBulk = (): void => {
    bulkLeft = -1;
    if (word) words = [...words, word.text.slice(0, wordBytesMax)];
    word = undefined;
  };

  /** Reads on from `at`; answers where it stopped, and whether a message ended there. */
  const scan = (chunk: Buffer, at: number): number => {
    if (bulkLeft >= 0) {
      const end = Math.min(chunk.length, at + bulkLeft);
      if (word && word.text.length < wordBytesMax) {
        const wanted = Math.min(end - at, Math.max(0, bulkLeft - 2), wordBytesMax);
        word.text += chunk.toString("latin1", at, at + wanted);
      }
      bulkLeft -= end - at;
      if (bulkLeft === 0) endBulk();
      return end;
    }
    const end = chunk.indexOf(10, at);
    line += chunk.toString("latin1", at, end === -1 ? chunk.length : end);
    if (line.length > lookBytesMax) giveUp();
    if (end === -1) return chunk.length;
    endLine();
    return end + 1;
  };

  return {
    push(chunk) {
      const parts: RespPart[] = [];
      let from = 0;
      let at = 0;
      while (at < chunk.length && !isLost) {
        at = scan(chunk, at);
        const isOver = left === 0 && bulkLeft === -1;
        const isLongWord = word !== undefined && word.text.length >= wordBytesMax && words.length === wordsMax - 1;
        const knows = begun || words.length >= wordsMax || isLongWord || heldBytes + at - from > lookBytesMax;
        if (!isOver && !(at === chunk.length && knows)) continue;
        keep(chunk.subarray(from, at));
        from = at;
        parts.push(emit(isOver));
        if (!isOver) continue;
        left = 1;
        firstLine = "";
        words = [];
      }
      keep(chunk.subarray(from));
      if (isLost && heldBytes > 0) parts.push(emit(false));
      return parts;
    },
  };
}
