import type { Part } from "./exchange.ts";
import { lookBytesMax } from "./exchange.ts";

export interface HttpPart extends Part {
  /** The first line, on the first part: `POST /orders HTTP/1.1`, `HTTP/1.1 201 Created`. */
  readonly line: string;
}

export interface HttpFramer {
  push(chunk: Buffer): HttpPart[];
}

/** How the body of the message at hand ends. */
type Body =
  | { readonly kind: "length"; left: number }
  /** `left` of a chunk's bytes with its line end; -1 while a size or a trailer is read. */
  | { readonly kind: "chunked"; left: number; inTrailers: boolean }
  | { readonly kind: "endless" };

/**
 * Cuts a stream of HTTP/1.1 messages (RFC 9112). `bodyOf` says for a first line that no body follows whatever the
 * headers say, or that the stream ends to be HTTP. `lost` is called when it is something else.
 */
export function createHttpFramer(
  bodyOf: (line: string) => "none" | "switches" | undefined,
  lost: () => void,
): HttpFramer {
  let held: Buffer = Buffer.alloc(0);
  let body: Body | undefined;
  let isLost = false;

  const giveUp = (): HttpPart => {
    isLost = true;
    lost();
    return rest("");
  };
  const rest = (line: string): HttpPart => {
    const bytes = held;
    held = Buffer.alloc(0);
    return { bytes, first: false, last: false, line };
  };
  const cut = (length: number, part: Omit<HttpPart, "bytes">): HttpPart => {
    const bytes = held.subarray(0, length);
    held = held.subarray(length);
    if (part.last) body = undefined;
    return { bytes, ...part };
  };

  const head = (): HttpPart | undefined => {
    const end = held.indexOf("\r\n\r\n");
    if (end === -1) return held.length > lookBytesMax ? giveUp() : undefined;
    const [line = "", ...fields] = held.toString("latin1", 0, end).split("\r\n");
    if (!/^(?:[A-Z]+ \S+ HTTP\/1\.[01]|HTTP\/1\.[01] \d{3}.*)$/.test(line)) return giveUp();
    const kind = bodyOf(line);
    body = kind === "none" ? { kind: "length", left: 0 } : bodyFrom(fields, line);
    const part = cut(end + 4, { first: true, last: body.kind === "length" && body.left === 0, line });
    if (kind === "switches") {
      isLost = true;
      lost();
    }
    return part;
  };
  const chunked = (state: Body & { kind: "chunked" }): HttpPart | undefined => {
    const flags = { first: false, line: "" };
    if (state.left >= 0) {
      const length = Math.min(state.left, held.length);
      state.left -= length;
      if (state.left === 0) state.left = -1;
      return cut(length, { ...flags, last: false });
    }
    const end = held.indexOf("\r\n");
    if (end === -1) return held.length > lookBytesMax ? giveUp() : undefined;
    if (state.inTrailers) return cut(end + 2, { ...flags, last: end === 0 });
    const size = Number.parseInt(held.toString("latin1", 0, end), 16);
    if (!(size >= 0)) return giveUp();
    if (size === 0) state.inTrailers = true;
    else state.left = size + 2;
    return cut(end + 2, { ...flags, last: false });
  };
  const next = (): HttpPart | undefined => {
    if (held.length === 0) return undefined;
    if (isLost) return rest("");
    if (!body) return head();
    if (body.kind === "chunked") return chunked(body);
    if (body.kind === "endless") return rest("");
    const length = Math.min(body.left, held.length);
    body.left -= length;
    return cut(length, { first: false, last: body.left === 0, line: "" });
  };

  return {
    push(chunk) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const parts: HttpPart[] = [];
      for (let part = next(); part; part = next()) parts.push(part);
      return parts;
    },
  };
}

function bodyFrom(fields: readonly string[], line: string): Body {
  const fieldOf = (name: string): string | undefined =>
    fields
      .find((field) => field.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  if (/\bchunked$/i.test(fieldOf("transfer-encoding") ?? "")) return { kind: "chunked", left: -1, inTrailers: false };
  const length = fieldOf("content-length");
  if (length !== undefined) return { kind: "length", left: Number(length) || 0 };
  return line.startsWith("HTTP/") ? { kind: "endless" } : { kind: "length", left: 0 };
}
