import { mediaTypeUnsupported } from "./errors.ts";
import { memoize } from "./memo.ts";

/**
 * What a JSON body may call itself: `application/json` or `application/…+json`, with no charset or with UTF-8. Other
 * parameters are ignored.
 */
const verdictOf: (contentType: string) => "json" | "charset" | "type" = memoize((contentType) => {
  const [type = "", ...parameters] = contentType.split(";");
  const name = type.trim().toLowerCase();
  if (name !== "application/json" && !/^application\/[!#$%&'*+.^_`|~0-9a-z-]+\+json$/.test(name)) return "type";
  for (const parameter of parameters) {
    const match = /^\s*charset\s*=\s*"?([^"]*)"?\s*$/i.exec(parameter);
    if (match && !/^utf-?8$/i.test((match[1] as string).trim())) return "charset";
  }
  return "json";
});

/** Throws 415 unless the body is JSON in UTF-8, sent as it is. */
export function requireJson(
  method: string,
  contentType: string | undefined,
  contentEncoding: string | undefined,
): void {
  if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== "identity") {
    throw mediaTypeUnsupported("Bodies are taken without a content coding.", { "accept-encoding": "identity" });
  }
  if (contentType === "application/json") return;
  if (contentType === undefined) throw unsupported(method, "Say what the body is: Content-Type: application/json.");
  const verdict = verdictOf(contentType);
  if (verdict === "json") return;
  throw unsupported(
    method,
    verdict === "type" ? "Bodies are application/json." : "JSON is UTF-8; other charsets are not read.",
  );
}

function unsupported(method: string, what: string) {
  const accept = { accept: "application/json" };
  return mediaTypeUnsupported(what, method === "PATCH" ? { ...accept, "accept-patch": "application/json" } : accept);
}
