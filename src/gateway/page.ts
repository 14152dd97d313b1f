import { createHash } from "node:crypto";
import type { Compression } from "./compression.ts";
import { createContentSender } from "./content.ts";
import type { Exchange } from "./exchange.ts";

/** A document that never changes while the process runs: the API reference, the OpenAPI document. Open to all. */
export interface Page {
  /** `"/docs"`. */
  readonly path: string;
  /** `"text/html; charset=utf-8"`. */
  readonly contentType: string;
  /** Text, or what writes it: asked once, with the first request. */
  readonly body: string | (() => string);
  /** Further headers, or other values for the default ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Serves a page: with `ETag`, to be asked for again each time, compressed where the client takes it. Made with the first
 * request: most processes are never asked, and a large app's documents take as long as the rest of its start. What cannot
 * be made is not tried again.
 */
export function compilePage(
  page: Page,
  headers: ReadonlyMap<string, string>,
  compression: Compression | undefined,
): (exchange: Exchange) => void {
  let send: ((exchange: Exchange) => void) | undefined;
  return (exchange) => {
    send ??= trySending(page, headers, compression);
    send(exchange);
  };
}

function trySending(...given: Parameters<typeof compileSending>): (exchange: Exchange) => void {
  try {
    return compileSending(...given);
  } catch (thrown) {
    return () => {
      throw thrown;
    };
  }
}

function compileSending(
  page: Page,
  headers: ReadonlyMap<string, string>,
  compression: Compression | undefined,
): (exchange: Exchange) => void {
  const body = typeof page.body === "string" ? page.body : page.body();
  const isHtml = page.contentType.startsWith("text/html");
  const own = new Map(headers);
  if (isHtml) {
    own.set("content-security-policy", pagePolicy(body));
    own.set("referrer-policy", "no-referrer");
  }
  for (const [name, value] of Object.entries(page.headers ?? {})) own.set(name.toLowerCase(), value);
  const sender = createContentSender({
    status: 200,
    contentType: page.contentType,
    headers: own,
    compression,
    cacheControl:
      own.get("cache-control") === "no-store" || !own.has("cache-control") ? "no-cache" : own.get("cache-control"),
  });
  return (exchange) => sender.send(exchange, body);
}

/**
 * A page may run the scripts and use the styles that stand in it, named by their hashes, may ask its own origin for data,
 * and nothing else: no other host, no framing.
 */
function pagePolicy(html: string): string {
  const scripts = hashes(html, /<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/gi);
  return [
    "default-src 'none'",
    `script-src 'self'${scripts}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function hashes(html: string, pattern: RegExp): string {
  return [...html.matchAll(pattern)]
    .map(
      (match) =>
        ` 'sha256-${createHash("sha256")
          .update(match[1] as string)
          .digest("base64")}'`,
    )
    .join("");
}
