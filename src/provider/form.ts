import type { IncomingMessage } from "node:http";

export const formBytesMax = 16 * 1024;

/** The fields of a form. Undefined for what is none, is too large, or names a field twice. */
export async function readForm(req: IncomingMessage): Promise<ReadonlyMap<string, string> | undefined> {
  const [type = ""] = (req.headers["content-type"] ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/x-www-form-urlencoded") return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // What follows is still read, so that the answer arrives.
    if (bytes <= formBytesMax) chunks.push(chunk);
  }
  if (bytes > formBytesMax) return undefined;
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(Buffer.concat(chunks).toString("utf8"))) {
    if (fields.has(name)) return undefined;
    fields.set(name, value);
  }
  return fields;
}

/**
 * Whether a form was sent by a page of ours. Browsers say where a request comes from; those that say nothing are let pass
 * here, and need the form's own signature all the same.
 */
export function isSameOrigin(req: IncomingMessage, origin: string): boolean {
  const site = req.headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin") return false;
  return req.headers.origin === undefined || req.headers.origin === origin;
}
