import { TokenFault } from "./errors.ts";
import { parseObject } from "./strict-json.ts";

/** A signed JWT in its compact form, read but not believed: nothing of it is true before its signature was checked. */
export interface CompactToken {
  readonly text: string;
  readonly header: CompactHeader;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface CompactHeader {
  readonly alg: string;
  readonly kid: string | undefined;
  /** In small letters and without "application/"; undefined when there is none. */
  readonly typ: string | undefined;
  /** The other members. */
  readonly members: Readonly<Record<string, unknown>>;
}

const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const headerLengthMax = 2048;

/**
 * Headers that would let a token say how it is to be checked, or with which key, or that it is not what it seems: never
 * followed, and reason enough to refuse (RFC 8725, 3.9 and 3.10). `x5t` is only a name, as `kid` is, and some issuers set it.
 */
const keyHeaders = ["jwk", "jku", "x5c", "x5u"] as const;
const otherHeaders = ["crit", "b64", "zip", "enc", "epk", "p2c", "p2s"] as const;

/** Reads the parts of a token. What costs nothing is looked at first: length, alphabet, then JSON. Throws TokenFault. */
export function parseCompact(
  text: string,
  options: { readonly lengthMax: number; readonly embedsKey?: boolean },
): CompactToken {
  if (text.length > options.lengthMax) throw new TokenFault(`longer than ${options.lengthMax} characters`);
  if (!shape.test(text)) throw new TokenFault("not three parts of base64url");
  const [head, body, signature] = text.split(".") as [string, string, string];
  if (head.length > headerLengthMax) throw new TokenFault(`a header longer than ${headerLengthMax} characters`);
  const members = parseObject(decode(head));
  for (const name of otherHeaders) refuseHeader(members, name);
  if (!options.embedsKey) for (const name of keyHeaders) refuseHeader(members, name);
  decode(signature);
  return { text, header: headerOf(members), payload: parseObject(decode(body)) };
}

/** The bytes of a part. Text whose last character has bits to spare is refused: two texts must not be one token. */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) throw new TokenFault("no canonical base64url");
  return bytes;
}

function refuseHeader(members: Readonly<Record<string, unknown>>, name: string): void {
  if (Object.hasOwn(members, name)) throw new TokenFault(`it has a "${name}" header`);
}

function headerOf(members: Readonly<Record<string, unknown>>): CompactHeader {
  const { alg, kid, typ } = members;
  if (typeof alg !== "string" || alg.length > 16) throw new TokenFault("no alg");
  if (kid !== undefined && (typeof kid !== "string" || kid === "" || kid.length > 256)) throw new TokenFault("no kid");
  if (typ !== undefined && typeof typ !== "string") throw new TokenFault("no typ");
  return { alg, kid, typ: typ?.toLowerCase().replace(/^application\//, ""), members };
}
