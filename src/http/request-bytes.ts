import type { HttpRequest, WholeRequest } from "./http-request.ts";

/** A request as it is written: text of one byte for each character, and a body that is too large to stand in it. */
export interface RequestBytes {
  readonly text: string;
  readonly body: Buffer | undefined;
}

/** Up to here head and body are one write. */
const joinedBytesMax = 16 * 1024;

/** They would end the message elsewhere, or say of the connection what is not so. */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Methods that are expected to have a body, so that one without says it. */
const bodyMethods: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** Throws when a header, a method or a path is none. `host` is used where the request names no other. */
export function toRequestBytes(request: WholeRequest, host: string): RequestBytes {
  const { method, path, headers } = request;
  const body = typeof request.body === "string" ? Buffer.from(request.body) : request.body;
  if (!isToken(method)) throw new TypeError("the method is none");
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(path) || path.charCodeAt(0) !== 0x2f) throw new TypeError("the path is none");
  const fields = new Fields();
  const pairs = isList(headers) ? headers : Object.entries(headers).flat();
  for (let i = 0; i < pairs.length; i += 2) fields.add(pairs[i] as string, pairs[i + 1] as string);
  const bytes = body?.length ?? 0;
  if (fields.length !== undefined && fields.length !== bytes) throw new TypeError("its body has another length");
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${fields.host ?? host}\r\nconnection: keep-alive${fields.text}`;
  text += bytes > 0 || bodyMethods.has(method) ? `\r\ncontent-length: ${bytes}\r\n\r\n` : "\r\n\r\n";
  if (!body || bytes === 0) return { text, body: undefined };
  return bytes <= joinedBytesMax ? { text: text + body.toString("latin1"), body: undefined } : { text, body };
}

class Fields {
  /** Each behind the end of the line before. */
  text = "";
  host: string | undefined = undefined;
  /** The length that the caller tells. */
  length: number | undefined = undefined;

  add(given: string, value: string): void {
    const { kind, beginning } = nameOf(given);
    if (kind === unsent || typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new TypeError(`the header ${JSON.stringify(given)} cannot be sent`);
    if (kind === plain) this.text += beginning + value;
    else if (kind === ofHost) this.host = value;
    else this.length = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  }
}

function isList(headers: HttpRequest["headers"]): headers is readonly string[] {
  return Array.isArray(headers);
}

const [unsent, plain, ofHost, ofLength] = [0, 1, 2, 3] as const;

interface Name {
  readonly kind: typeof unsent | typeof plain | typeof ofHost | typeof ofLength;
  /** The end of the line before and what its own begins with; in one piece, as `join` makes it. */
  readonly beginning: string;
}

/** Names as they are given: most requests have the same ones. */
const names = new Map<string, Name>();
const nameCountMax = 500;
const nameCharsMax = 64;

function nameOf(given: string): Name {
  const known = names.get(given);
  if (known !== undefined) return known;
  const name = { kind: kindOf(given), beginning: ["\r\n", given, ": "].join("") };
  if (given.length > nameCharsMax) return name;
  if (names.size >= nameCountMax) names.clear();
  names.set(given, name);
  return name;
}

function kindOf(given: string): Name["kind"] {
  const name = isToken(given) ? given.toLowerCase() : "";
  if (name === "" || ofConnection.has(name)) return unsent;
  if (name === "host") return ofHost;
  return name === "content-length" ? ofLength : plain;
}

function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);
}
