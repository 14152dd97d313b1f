import { wrongGateway } from "./errors.ts";

/**
 * The head of an answer as `writeHead` takes it fastest: one flat array of names and values, made at start. Its second
 * element is the content length, set just before use: `writeHead` has turned the array into text when it returns, so one
 * array serves all requests of a route.
 */
export type HeadTemplate = string[];

/** `false` takes a default away. */
export type HeaderOptions = Readonly<Record<string, string | false>>;

/**
 * What every answer says unless told otherwise. An API answers data: nothing in it may be run, framed, sniffed or kept.
 * (`referrer-policy` says nothing about data; pages have it.)
 * Each header costs 1 to 3 % of a small GET, so there are no more than these. `strict-transport-security` is for whoever
 * terminates TLS: set it in `headers` when that is this process.
 */
const defaults: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
};

/** Headers that belong to the connection or to the framing of the message: never an application's to set. */
const reserved: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function isReservedHeader(name: string): boolean {
  return reserved.has(name);
}

const namePattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the bytes that may not stand in a header.
const badValuePattern = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/;

export function isHeaderName(name: string): boolean {
  return namePattern.test(name);
}

export function isHeaderValue(value: string): boolean {
  return !badValuePattern.test(value);
}

/** The default headers with the app's own changes. Throws StartError HEADER_INVALID. */
export function resolveHeaders(options: HeaderOptions): ReadonlyMap<string, string> {
  const headers = new Map(Object.entries(defaults));
  const problems: string[] = [];
  for (const [given, value] of Object.entries(options)) {
    const name = given.toLowerCase();
    if (!isHeaderName(name))
      problems.push(`gateway: headers: ${JSON.stringify(given)} is no header name; use letters, digits and dashes.`);
    else if (isReservedHeader(name))
      problems.push(`gateway: headers: "${name}" is set by the server itself; remove it.`);
    else if (value === false) headers.delete(name);
    else if (!isHeaderValue(value))
      problems.push(`gateway: headers: the value of "${name}" has characters that no header may have; remove them.`);
    else headers.set(name, value);
  }
  if (problems.length > 0) throw wrongGateway("HEADER_INVALID", problems);
  return headers;
}

/** A template of `headers` and, before them, `own`. A name in `own` wins; "" leaves it out. */
export function headTemplate(
  headers: ReadonlyMap<string, string>,
  own: Readonly<Record<string, string>>,
): HeadTemplate {
  const merged = new Map(Object.entries(own));
  for (const [name, value] of headers) if (!merged.has(name)) merged.set(name, value);
  const template = ["content-length", "0"];
  for (const [name, value] of merged) if (value !== "") template.push(name, value);
  return template;
}

/** A template for answers without a body or of unknown length. */
export function withoutLength(template: HeadTemplate): HeadTemplate {
  return template.slice(2);
}

/** An id that a client gave to its request and that is safe to send back and to log. */
export function isRequestId(value: string | string[]): boolean {
  return typeof value === "string" && /^[\w.:/+=-]{1,128}$/.test(value);
}
