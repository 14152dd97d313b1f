import { Reader } from "../../wire/index.ts";
import type { HeldReply, LineReader, LineReaderOptions, Part } from "./exchange.ts";
import { holdReply, pass, requestSteps } from "./exchange.ts";
import type { Step } from "./pipe.ts";
import type { Prefix } from "./prefix-framer.ts";
import { createPrefixFramer } from "./prefix-framer.ts";
import type { Verdict } from "./rule.ts";

/** Of the protocol between Plinth's own processes, version 1. */
const kind = { call: 16, result: 32, error: 33, item: 34, end: 35 };
const answers: Readonly<Record<number, string>> = { [kind.result]: "result", [kind.error]: "error", [kind.end]: "end" };

const frame: Prefix = {
  headBytes: 5,
  totalBytes(head) {
    // A TLS record begins so.
    if (head[0] === 0x16 && head[1] === 0x03) return undefined;
    return 4 + head.readUInt32LE(0);
  },
};

/**
 * Reads the calls between two processes of an app. What is asked is `call 3`, with the method's place in the table of
 * the server that is called; the answer is `result`, `error` or `end`. Calls are answered in any order, so `drop-reply` loses
 * one answer and leaves the connection as it is. Over TLS nothing is read.
 */
export function createRpcLine(options: LineReaderOptions): LineReader {
  const verdicts = new Map<number, HeldReply>();
  const reader = new Reader();
  let verdict: Verdict | undefined;
  let held: HeldReply | undefined;
  let raw = false;

  const giveUp = (): void => {
    if (!raw) options.unread();
    raw = true;
  };
  const up = createPrefixFramer(() => frame, giveUp);
  const down = createPrefixFramer(() => frame, giveUp);

  const call = (part: Part): readonly Step[] => {
    if (part.first) {
      verdict = undefined;
      if (part.bytes[4] === kind.call) {
        reader.reset(part.bytes, 5, part.bytes.length);
        const id = reader.uvarint();
        verdict = options.judge(`call ${reader.uvarint()}`);
        const reply = holdReply(verdict, options);
        if (reply) verdicts.set(id, reply);
      }
    }
    return requestSteps(verdict, part, options);
  };
  /** A frame longer than what is looked into comes in pieces: the answer is told with the last. */
  let answer: string | undefined;
  const reply = (part: Part): readonly Step[] => {
    if (part.first) {
      const type = part.bytes[4] as number;
      held = undefined;
      answer = answers[type];
      if (answer !== undefined || type === kind.item) {
        reader.reset(part.bytes, 5, part.bytes.length);
        const id = reader.uvarint();
        held = verdicts.get(id);
        if (answer !== undefined) verdicts.delete(id);
      }
    }
    return held ? held.take(part.bytes, part.last ? answer : undefined) : [pass(part.bytes)];
  };

  return {
    up: (chunk) => (raw ? [pass(chunk)] : up.push(chunk).flatMap(call)),
    down: (chunk) => (raw ? [pass(chunk)] : down.push(chunk).flatMap(reply)),
  };
}
