import { hash } from "node:crypto";

/** A strong tag of a body: 128 bits of its SHA-256. The coded forms of one body have tags of their own (RFC 9110, 8.8.3.3). */
export function etagOf(body: string | Buffer, coding: "identity" | "gzip" | "br"): string {
  const digest = hash("sha256", body, "base64url").slice(0, 22);
  return coding === "identity" ? `"${digest}"` : `"${digest}-${coding}"`;
}

/** `If-None-Match` by weak comparison: true when the client holds this body already. */
export function matchesEtag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  for (const candidate of ifNoneMatch.split(",")) {
    const tag = candidate.trim();
    if ((tag.startsWith("W/") ? tag.slice(2) : tag) === etag) return true;
  }
  return false;
}
