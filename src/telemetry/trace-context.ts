import type { Trace } from "../base/index.ts";

/**
 * W3C Trace Context, Level 2: reading `traceparent` and `tracestate`.
 *
 * An invalid `traceparent` (also: two of them, upper-case hex, zero ids, version ff) means a new trace, and the
 * `tracestate` beside it is dropped. Higher versions are read as version 00. An invalid `tracestate` (a member breaks
 * the grammar, a key comes twice, more than 32 members) is dropped alone. Of the flags, `sampled` and `random` are
 * kept; others are zero in what we send.
 */
export type HeaderText = string | readonly string[] | undefined;

export const flagSampled = 1;
export const flagRandom = 2;

/** The caller's place in its trace, as it said. Ids are kept as 32-bit integers, so that a child costs no text. */
export class RemoteTrace implements Trace {
  readonly trace0: number;
  readonly trace1: number;
  readonly trace2: number;
  readonly trace3: number;
  readonly span0: number;
  readonly span1: number;
  readonly flags: number;
  readonly tracestate: string | undefined;

  constructor(words: Int32Array, flags: number, tracestate: string | undefined) {
    this.trace0 = words[0] as number;
    this.trace1 = words[1] as number;
    this.trace2 = words[2] as number;
    this.trace3 = words[3] as number;
    this.span0 = words[4] as number;
    this.span1 = words[5] as number;
    this.flags = flags & (flagSampled | flagRandom);
    this.tracestate = tracestate;
  }

  get traceId(): string {
    return hexWord(this.trace0) + hexWord(this.trace1) + hexWord(this.trace2) + hexWord(this.trace3);
  }
  get spanId(): string {
    return hexWord(this.span0) + hexWord(this.span1);
  }
  get sampled(): boolean {
    return (this.flags & flagSampled) !== 0;
  }
  traceparent(): string {
    return `00-${this.traceId}-${this.spanId}-0${this.flags}`;
  }
  writeIds(into: Int32Array): number {
    return writeIds(this, into);
  }
}

interface Ids {
  readonly trace0: number;
  readonly trace1: number;
  readonly trace2: number;
  readonly trace3: number;
  readonly span0: number;
  readonly span1: number;
  readonly flags: number;
}

export function writeIds(of: Ids, into: Int32Array): number {
  into[0] = of.trace0;
  into[1] = of.trace1;
  into[2] = of.trace2;
  into[3] = of.trace3;
  into[4] = of.span0;
  into[5] = of.span1;
  return of.flags;
}

/** The trace that the headers name, or undefined: begin a new one. Never throws. */
export function parseTrace(traceparent: HeaderText, tracestate?: HeaderText): RemoteTrace | undefined {
  const text = typeof traceparent === "string" ? traceparent : traceparent?.length === 1 ? traceparent[0] : undefined;
  if (text === undefined) return undefined;
  const header = text.length === 55 ? text : trim(text);
  if (header.length < 55) return undefined;
  if (header.charCodeAt(2) !== dash || header.charCodeAt(35) !== dash || header.charCodeAt(52) !== dash) {
    return undefined;
  }
  const version = hexNumber(header, 0, 2);
  if (version < 0 || version === 0xff) return undefined;
  if (header.length > 55 && (version === 0 || header.charCodeAt(55) !== dash || header.includes(","))) return undefined;
  const flags = hexNumber(header, 53, 2);
  if (flags < 0) return undefined;

  for (let i = 0; i < 6; i++) {
    const word = hexNumber(header, i < 4 ? 3 + i * 8 : 36 + (i - 4) * 8, 8);
    if (word < 0) return undefined;
    parsed[i] = word;
  }
  return toTrace(parsed, flags, tracestate);
}

/** One for all: what is made of it takes the numbers out. */
const parsed = new Int32Array(6);

/** The trace that these ids name, or undefined: begin a new one. */
export function toTrace(words: Int32Array, flags: number, tracestate?: HeaderText): RemoteTrace | undefined {
  const trace = new RemoteTrace(words, flags, parseTracestate(tracestate));
  const hasTraceId = (trace.trace0 | trace.trace1 | trace.trace2 | trace.trace3) !== 0;
  return hasTraceId && (trace.span0 | trace.span1) !== 0 ? trace : undefined;
}

export const tracestateMembersMax = 32;

/** The combined, checked `tracestate`, or undefined when there is none to pass on. */
export function parseTracestate(tracestate: HeaderText): string | undefined {
  if (tracestate === undefined) return undefined;
  const text = typeof tracestate === "string" ? tracestate : tracestate.join(",");
  if (text === "") return undefined;
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of text.split(",")) {
    const member = trim(part);
    if (member === "") continue;
    const equals = member.indexOf("=");
    const key = member.slice(0, equals);
    if (equals === -1 || !validKey.test(key) || !validValue.test(member.slice(equals + 1))) return undefined;
    if (keys.has(key) || members.length === tracestateMembersMax) return undefined;
    keys.add(key);
    members.push(member);
  }
  return members.length === 0 ? undefined : members.join(",");
}

const validKey = /^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})$/;
const validValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const dash = 45;

/** An unsigned number of up to 32 bits from lower-case hex; -1 when it is none. */
function hexNumber(text: string, start: number, length: number): number {
  let value = 0;
  for (let i = start; i < start + length; i++) {
    const code = text.charCodeAt(i);
    const digit = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1;
    if (digit === -1) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** Without the spaces and tabs around it: HTTP's optional white space, and no other. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A 32-bit word as eight hex digits. */
export function hexWord(word: number): string {
  return `${hexBytes[word >>> 24]}${hexBytes[(word >>> 16) & 0xff]}${hexBytes[(word >>> 8) & 0xff]}${hexBytes[word & 0xff]}`;
}
