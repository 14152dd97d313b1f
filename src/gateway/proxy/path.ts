import { urlMalformed } from "../errors.ts";

/**
 * The path of a request as an outside system gets it. Two readers must take it for the same: the gateway decided by it
 * who may call, and the outside system decides by it what happens.
 *
 * - What need not be encoded is decoded (`%61` is `a`; RFC 3986, 6.2.2.2), other escapes are written in capitals.
 * - Refused with 400, because some servers read them as another path: `.` and `..` in any spelling (`%2e%2e`, `..;x`),
 *   backslashes, control characters, broken escapes, characters outside ASCII.
 * - Refused unless the route says `looseSegments`: encoded slashes, `;` parameters and empty segments. A server that takes
 *   `/admin;x/` or `//admin/` for `/admin/` would answer there without the rules of `/admin/`.
 *
 * An escape of an escape (`%252e`) is left as it is: decoded once, it is text. Small and capital letters stay as they are,
 * too; see `proxy/nesting.ts`.
 */
export function canonicalPath(path: string, looseSegments: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  if (/[\x00-\x20\x7f-\uffff\\]/.test(path)) throw urlMalformed("its path has characters that must be encoded");
  const clean = path.includes("%") ? path.replace(/%([0-9A-Fa-f]{2})?/g, normalizeEscape) : path;
  if (hasDots(clean)) throw urlMalformed('its path has "." or ".." segments');
  if (!looseSegments && /;|%3B|%2F|\/\//.test(clean)) {
    throw urlMalformed("its path has encoded slashes, semicolons or empty segments, which this route does not take");
  }
  return clean;
}

function normalizeEscape(_whole: string, hex: string | undefined): string {
  if (hex === undefined) throw urlMalformed("the path has broken percent-encoding");
  const code = Number.parseInt(hex, 16);
  if (code < 0x20 || code === 0x7f || code === 0x5c) {
    throw urlMalformed("its path has an encoded control character or backslash");
  }
  const char = String.fromCharCode(code);
  return /[A-Za-z0-9._~-]/.test(char) ? char : `%${hex.toUpperCase()}`;
}

/** Whether a server that decodes slashes and cuts off `;` parameters would find a step up, or in place. */
function hasDots(path: string): boolean {
  if (!path.includes(".")) return false;
  return path.split(/\/|%2F/).some((segment) => {
    const name = segment.split(/;|%3B/, 1)[0];
    return name === "." || name === "..";
  });
}

/** How a route's path becomes that of the outside system: `strip` takes the fixed part off, `rewrite` puts another in its place. */
export function compileRewrite(
  path: string,
  { strip = false, rewrite }: { readonly strip?: boolean | undefined; readonly rewrite?: string | undefined },
): (path: string) => string {
  const fixed = fixedPart(path);
  const put = rewrite === undefined ? (strip ? "" : undefined) : rewrite.replace(/\/$/, "");
  if (put === undefined) return (given) => given;
  return (given) => {
    const rest = given.slice(fixed.length);
    const whole = put + (rest === "" || rest.startsWith("/") ? rest : `/${rest}`);
    return whole === "" ? "/" : whole;
  };
}

/** `"/legacy"` of `"/legacy/*"`; the whole of a path without a wildcard; "" of `"/*"`. */
export function fixedPart(path: string): string {
  return path.endsWith("/*") ? path.slice(0, -2) : path;
}
