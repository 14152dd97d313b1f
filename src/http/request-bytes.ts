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
  if (isList(headers)) {
    for (let i = 0; i < headers.length; i += 2) fields.add(headers[i] as string, headers[i + 1] as string);
  } else for (const name of Object.keys(headers)) fields.add(name, headers[name] as string);
  const bytes = body?.length ?? 0;
  if (fields.length !== undefined && fields.length !== bytes) throw new TypeError("its body has another length");
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${fields.host ?? host}\r\nconnection: keep-alive\r\n${fields.text}`;
  if (bytes > 0 || bodyMethods.has(method)) text += `content-length: ${bytes}\r\n`;
  text += "\r\n";
  if (!body || bytes === 0) return { text, body: undefined };
  return bytes <= joinedBytesMax ? { text: text + body.toString("latin1"), body: undefined } : { text, body };
}

class Fields {
  text = "";
  host: string | undefined = undefined;
  /** The length that the caller tells. */
  length: number | undefined = undefined;

  add(name: string, value: string): void {
    const plain = plainName(name);
    if (plain === undefined || typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new TypeError(`the header ${JSON.stringify(name)} cannot be sent`);
    if (plain === "host") this.host = value;
    else if (plain === "content-length") this.length = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    else if (ofConnection.has(plain)) throw new TypeError(`the header ${JSON.stringify(name)} is the connection's`);
    else this.text += `${name}: ${value}\r\n`;
  }
}

function isList(headers: HttpRequest["headers"]): headers is readonly string[] {
  return Array.isArray(headers);
}

/** Names as they are given, and in lower case: most requests have the same ones. */
const names = new Map<string, string>();
const nameCountMax = 500;
const nameCharsMax = 64;

/** In lower case; undefined when it is none. */
function plainName(given: string): string | undefined {
  const known = names.get(given);
  if (known !== undefined) return known;
  if (!isToken(given)) return undefined;
  const name = given.toLowerCase();
  if (given.length > nameCharsMax) return name;
  if (names.size >= nameCountMax) names.clear();
  names.set(given, name);
  return name;
}

function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);
}
