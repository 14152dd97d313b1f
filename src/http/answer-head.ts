import type { IncomingHttpHeaders } from "node:http";

/** The head of an answer, and what it says of the bytes behind it. */
export interface AnswerHead {
  readonly status: number;
  /** Names in lower case; a list where a header came more than once. */
  readonly headers: IncomingHttpHeaders;
  /** Bytes of the body, or `chunked`, or `untilClose`. */
  readonly body: number;
  /** Whether the connection can be used again behind it, as far as the other side says. */
  readonly keepsAlive: boolean;
}

export const chunked = -1;
export const untilClose = -2;

/** What came is no answer. Its connection is not to be used again. */
export class BrokenAnswer extends Error {}

/**
 * Reads the head of an answer, without its empty line (RFC 9112).
 *
 * Strict, for the next answer on the connection belongs to somebody else: where two readers could find different ends of
 * the body, there is no answer. So refused are several lengths, a length beside `Transfer-Encoding`, any coding but
 * `chunked`, folded lines, blanks before a colon, line ends that are not CR LF, and control characters.
 */
export function parseAnswerHead(text: string, isForHead: boolean): AnswerHead {
  const lineEnd = text.indexOf("\r\n");
  const statusLine = lineEnd === -1 ? text : text.slice(0, lineEnd);
  const status = statusOf(statusLine);
  const headers = lineEnd === -1 ? {} : parseFields(text, lineEnd + 2);
  const isOld = statusLine.charCodeAt(7) === 0x30;
  if (isOld && status < 200) throw new BrokenAnswer("HTTP/1.0 knows nothing that comes before an answer");
  const keepsAlive = !isOld && !closes(headers.connection);
  const hasNone = isForHead || status < 200 || status === 204 || status === 304;
  const body = bodyOf(headers, isOld);
  return { status, headers, body: hasNone ? 0 : body, keepsAlive: keepsAlive && (hasNone || body !== untilClose) };
}

function statusOf(line: string): number {
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(line)?.[1];
  if (status === undefined) throw new BrokenAnswer("this is no answer of HTTP/1.1");
  return Number(status);
}

function bodyOf(headers: IncomingHttpHeaders, isOld: boolean): number {
  const coding: string | string[] | undefined = headers["transfer-encoding"];
  const length: string | string[] | undefined = headers["content-length"];
  if (coding !== undefined) {
    if (length !== undefined || isOld || typeof coding !== "string" || coding.toLowerCase() !== "chunked")
      throw new BrokenAnswer("the end of its body is told in more than one way, or in none that is known");
    return chunked;
  }
  if (length === undefined) return untilClose;
  if (typeof length !== "string" || !/^\d{1,15}$/.test(length)) throw new BrokenAnswer("its length is no number");
  return Number(length);
}

function closes(connection: string | readonly string[] | undefined): boolean {
  if (connection === undefined || connection === "keep-alive") return false;
  return String(connection)
    .split(",")
    .some((option) => option.trim().toLowerCase() === "close");
}

type Fields = Record<string, string | string[]>;

function parseFields(text: string, from: number): IncomingHttpHeaders {
  const fields: Fields = {};
  for (let at = from; at <= text.length; ) {
    const found = text.indexOf("\r\n", at);
    const end = found === -1 ? text.length : found;
    addField(fields, text, at, end);
    at = end + 2;
  }
  return fields as IncomingHttpHeaders;
}

function addField(fields: Fields, text: string, at: number, end: number): void {
  const colon = text.indexOf(":", at);
  if (colon === -1 || colon > end) throw new BrokenAnswer("a header has no colon");
  const name = fieldName(text.slice(at, colon));
  let from = colon + 1;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  const value = text.slice(from, to);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw new BrokenAnswer("a header has control characters");
  const known = fields[name];
  if (known === undefined) fields[name] = value;
  else if (typeof known === "string") fields[name] = [known, value];
  else if (Array.isArray(known)) known.push(value);
  else if (name === "__proto__") throw new BrokenAnswer("a header has the name of no header");
  // What every object has by itself, such as "constructor".
  else fields[name] = value;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Names as they come, and in lower case: there are few, and they come with every answer. */
const names = new Map<string, string>();
const nameCountMax = 500;
const nameCharsMax = 64;

function fieldName(given: string): string {
  const known = names.get(given);
  if (known !== undefined) return known;
  // As the key of an object it would be something else.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(given) || given === "__proto__")
    throw new BrokenAnswer("the name of a header is none");
  const name = given.toLowerCase();
  if (given.length > nameCharsMax) return name;
  if (names.size >= nameCountMax) names.clear();
  names.set(given, name);
  return name;
}
