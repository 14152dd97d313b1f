import type { Compression } from "./compression.ts";
import { etagOf, matchesEtag } from "./etag.ts";
import type { Exchange } from "./exchange.ts";
import { extendHead } from "./extras.ts";
import type { HeadTemplate } from "./head.ts";
import { headTemplate, withoutLength } from "./head.ts";
import { contentCodingOf } from "./negotiation.ts";
import { quickHead } from "./quick-answer.ts";

/** Sends a body of one content type, in the way that the request asks for. */
export interface ContentSender {
  /** `etags`: those of this very body that are known already, by coding, and where new ones go. */
  send(exchange: Exchange, body: string, etags?: Map<string, string>): void;
}

export interface ContentOptions {
  readonly status: number;
  readonly contentType: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly compression: Compression | undefined;
  /** The value of `Cache-Control` for a body that clients may keep; such a body has an `ETag`. */
  readonly cacheControl?: string | undefined;
}

/**
 * The steps after a body is there: content coding above a size, entity tag and 304 for what may be kept, one `writeHead`.
 * The usual answer (small, not kept, no extras) takes none of them: its head is made, but for the length.
 */
export function createContentSender(options: ContentOptions): ContentSender {
  const { status, compression, cacheControl } = options;
  const own: Record<string, string> = { "content-type": options.contentType };
  if (cacheControl !== undefined) own["cache-control"] = cacheControl;
  const small = headTemplate(options.headers, own);
  const quick = quickHead(status, small);
  const vary = options.headers.get("vary");
  const large = headTemplate(options.headers, { ...own, vary: vary ? `${vary}, accept-encoding` : "accept-encoding" });
  // Above this many characters a body is surely large enough; below a third of it, surely not (UTF-8 takes 1 to 3 bytes each).
  const minBytes = compression?.minBytes ?? Number.POSITIVE_INFINITY;

  const sendKept = (
    exchange: Exchange,
    head: HeadTemplate,
    body: string | Buffer,
    bytes: number,
    coding: Coding,
    etags?: Map<string, string>,
  ): void => {
    const own = head.slice();
    own[1] = String(bytes);
    if (exchange.mediaType !== undefined) own[typeAt] = exchange.mediaType;
    extendHead(exchange, own);
    if (coding !== "identity") own.push("content-encoding", coding);
    if (cacheControl !== undefined) {
      const etag = etags?.get(coding) ?? etagOf(body, coding);
      etags?.set(coding, etag);
      own.push("etag", etag);
      const asked = exchange.headers["if-none-match"];
      if (asked !== undefined && matchesEtag(asked, etag)) {
        exchange.answer(304, notModified(own), undefined, 0);
        return;
      }
    }
    exchange.answer(status, own, body, bytes);
  };

  return {
    send(exchange, body, etags) {
      const bytes = Buffer.byteLength(body);
      if (bytes < minBytes) {
        if (cacheControl === undefined && exchange.mediaType === undefined) exchange.answerText(quick, body, bytes);
        else sendKept(exchange, small, body, bytes, "identity", etags);
        return;
      }
      const asked = exchange.headers["accept-encoding"];
      const coding = asked === undefined ? "identity" : contentCodingOf(asked as string);
      if (coding === "identity" || compression === undefined) {
        sendKept(exchange, large, body, bytes, "identity", etags);
        return;
      }
      const coded = compression.compress(coding, Buffer.from(body));
      if (coded instanceof Promise) {
        coded
          .then((made) => sendKept(exchange, large, made, made.length, coding, etags))
          .catch((thrown) => exchange.fail(thrown));
      } else sendKept(exchange, large, coded, coded.length, coding, etags);
    },
  };
}

/** Where a template has its content type: after the length, before all else. */
const typeAt = 3;

type Coding = "identity" | "gzip" | "br";

/** What a 304 repeats: everything but what describes a body that is not there. */
function notModified(head: readonly string[]): string[] {
  const kept = withoutLength(head as string[]);
  const own: string[] = [];
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] as string;
    if (name !== "content-type" && name !== "content-encoding") own.push(name, kept[i + 1] as string);
  }
  return own;
}
