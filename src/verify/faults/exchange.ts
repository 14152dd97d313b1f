import type { Direction } from "./fault.ts";
import type { Step } from "./pipe.ts";
import type { RuleBook, Verdict } from "./rule.ts";

/** Looks into both directions of one connection, and says what is to happen to the bytes. */
export interface LineReader {
  up(chunk: Buffer): readonly Step[];
  down(chunk: Buffer): readonly Step[];
}

export interface LineReaderOptions {
  readonly judge: RuleBook["judge"];
  /** So many bytes will never be passed on. */
  dropped(direction: Direction, byteCount: number): void;
  /** A rule took effect. */
  bite(): void;
  /** From here on the bytes mean nothing to the reader, and pass as they are. */
  unread(): void;
}

/** A piece of one message of a line. */
export interface Part {
  readonly bytes: Buffer;
  /** It begins the message: what is needed to know it is inside. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Messages are looked into up to here; a longer one passes in pieces. */
export const lookBytesMax = 64 * 1024;

export const pass = (bytes: Buffer): Step => ({ kind: "bytes", bytes });

/** What becomes of a request, piece by piece. */
export function requestSteps(
  verdict: Verdict | undefined,
  { bytes, first }: Part,
  options: LineReaderOptions,
): readonly Step[] {
  if (verdict?.action === "cut-request") {
    options.dropped("up", bytes.length);
    if (!first) return [];
    verdict.hit();
    options.bite();
    return [{ kind: "cut" }];
  }
  if (verdict?.action === "delay-request" && first) {
    verdict.hit();
    options.bite();
    return [{ kind: "wait", ms: verdict.delayMs }, pass(bytes)];
  }
  return [pass(bytes)];
}

/** The reply to a request that a rule chose. */
export interface HeldReply {
  /** A piece of it; `answer` comes with the piece that ends it. */
  take(bytes: Buffer, answer?: string): readonly Step[];
}

/** Undefined where the verdict says nothing about replies. */
export function holdReply(verdict: Verdict | undefined, options: LineReaderOptions): HeldReply | undefined {
  if (!verdict || !/-reply$/.test(verdict.action)) return undefined;
  let begun = false;
  return {
    take(bytes, answer) {
      const steps: Step[] = [];
      if (verdict.action === "delay-reply") {
        if (!begun) steps.push({ kind: "wait", ms: verdict.delayMs });
        steps.push(pass(bytes));
      } else options.dropped("down", bytes.length);
      begun = true;
      if (answer === undefined) return steps;
      verdict.hit(answer);
      options.bite();
      if (verdict.action === "cut-reply") steps.push({ kind: "cut" });
      if (verdict.action === "lose-reply") steps.push({ kind: "silence" });
      return steps;
    },
  };
}
