import { urlMalformed } from "../errors.ts";

/**
 * The path and query of a request's target. Origin form is taken as it is; absolute form (`GET http://host/path`, which
 * RFC 9112, 3.2.2 has every server accept) without its authority. Anything else, and a fragment, is 400.
 */
export function originForm(url: string): string {
  let target = url;
  if (target.charCodeAt(0) !== 0x2f) {
    const match = /^https?:\/\/[^/?#]+/i.exec(target);
    if (!match) throw urlMalformed("it is neither a path nor an absolute URL");
    target = target.slice(match[0].length);
    if (target.charCodeAt(0) !== 0x2f) target = `/${target}`;
  }
  if (target.includes("#")) throw urlMalformed("a fragment belongs to the client");
  return target;
}

/** The part of a target before its query string. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/** The host and port of a target in absolute form, which count instead of `Host` (RFC 9112, 3.2.2). */
export function authorityOf(target: string): string | undefined {
  return /^https?:\/\/([^/?#]+)/i.exec(target)?.[1];
}
