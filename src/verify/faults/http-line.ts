import type { HeldReply, LineReader, LineReaderOptions } from "./exchange.ts";
import { holdReply, pass, requestSteps } from "./exchange.ts";
import type { HttpPart } from "./http-framer.ts";
import { createHttpFramer } from "./http-framer.ts";
import type { Step } from "./pipe.ts";
import type { Verdict } from "./rule.ts";

/** A request that was asked for twice is kept up to here; a longer one goes through once and hits nothing. */
const duplicateBytesMax = 1024 * 1024;

interface Waiting {
  readonly method: string;
  readonly verdict: Verdict | undefined;
  /** The reply to the second of two: nobody asked for it. */
  readonly isSecond: boolean;
}

/**
 * Reads HTTP/1.1, pipelined or not. What is asked is `POST /orders?x=1`, the answer is the status, `201`. A reply that
 * ends with its connection cannot be told from a cut one, so `cut-reply` and `lose-reply` take it at its head. What comes
 * after an upgrade passes as it is.
 */
export function createHttpLine(options: LineReaderOptions): LineReader {
  const waiting: Waiting[] = [];
  let raw = false;
  let verdict: Verdict | undefined;
  let copy: Buffer[] | undefined;
  let copyBytes = 0;
  let held: HeldReply | undefined;
  let status = "";
  let isSecond = false;

  const giveUp = (): void => {
    if (!raw) options.unread();
    raw = true;
  };
  const requests = createHttpFramer(() => undefined, giveUp);
  const replies = createHttpFramer((line) => {
    const code = line.split(" ")[1] ?? "";
    if (code === "101") return "switches";
    const bodiless = waiting[0]?.method === "HEAD" || /^(?:1..|204|304)$/.test(code);
    return bodiless ? "none" : undefined;
  }, giveUp);

  const request = (part: HttpPart): readonly Step[] => {
    if (part.first) {
      const [method = "", path = ""] = part.line.split(" ");
      verdict = options.judge(`${method} ${path}`);
      waiting.push({ method, verdict, isSecond: false });
      // After such a request the server reads nothing more.
      const closes = /\r\nconnection: *close\r/i.test(part.bytes.toString("latin1"));
      copy = verdict?.action === "duplicate" && !closes ? [] : undefined;
      copyBytes = 0;
    }
    copy?.push(part.bytes);
    copyBytes += part.bytes.length;
    const steps = requestSteps(verdict, part, options);
    if (!copy || copyBytes > duplicateBytesMax) copy = undefined;
    if (!copy || !part.last) return steps;
    verdict?.hit();
    options.bite();
    waiting.push({ method: waiting.at(-1)?.method ?? "", verdict: undefined, isSecond: true });
    return [...steps, pass(Buffer.concat(copy))];
  };
  const reply = (part: HttpPart): readonly Step[] => {
    if (part.first) {
      status = part.line.split(" ")[1] ?? "";
      // 100 and 103 come before the reply itself.
      if (/^1/.test(status)) return [pass(part.bytes)];
      const next = waiting.shift();
      isSecond = next?.isSecond ?? false;
      held = holdReply(next?.verdict, options);
    }
    if (isSecond) {
      options.dropped("down", part.bytes.length);
      return [];
    }
    if (!held) return [pass(part.bytes)];
    const isEndless = part.first && !part.last && /^HTTP/.test(part.line) && !framed(part.bytes);
    const isOver = part.last || isEndless;
    const steps = held.take(part.bytes, isOver ? status : undefined);
    if (isOver) held = undefined;
    return steps;
  };

  return {
    up: (chunk) => (raw ? [pass(chunk)] : requests.push(chunk).flatMap(request)),
    down: (chunk) => (raw ? [pass(chunk)] : replies.push(chunk).flatMap(reply)),
  };
}

function framed(head: Buffer): boolean {
  return /\r\n(?:content-length|transfer-encoding):/i.test(head.toString("latin1"));
}
