import type { FetchedJson, FetchOptions } from "../http/index.ts";
import type { Jwks } from "./key-set.ts";
import { toJwks } from "./key-source.ts";

/** Gets a JSON document of the outside: `createHttpFetcher(…).getJson`. Follows no redirect, and is bounded in time and size. */
export type FetchJson = (url: string, options?: FetchOptions) => Promise<FetchedJson>;

export interface DiscoveryOptions {
  /** The issuer, as its tokens name it. */
  readonly issuer: string;
  /** Where its keys are; unset, its metadata says. */
  readonly jwksUrl: string | undefined;
  readonly fetchJson: FetchJson;
  /** Plain HTTP to this machine is good enough: in development. */
  readonly allowsLoopback: boolean;
}

const timeoutMs = 5000;
const bytesMax = 256 * 1024;

/**
 * A function that fetches the keys of an issuer: its metadata first (OpenID Connect Discovery, RFC 8414), then the set
 * that it names. Metadata whose `issuer` is not exactly the one asked for is not used: RFC 8414, 3.3.
 */
export function discoverKeys(options: DiscoveryOptions): () => Promise<Jwks> {
  const { issuer, fetchJson } = options;
  const get = async (url: string): Promise<FetchedJson> => {
    requireSafe(url, options.allowsLoopback);
    return fetchJson(url, { timeoutMs, bytesMax });
  };
  let lastKnown: string | undefined;
  const discover = async (): Promise<string> => {
    const failures: string[] = [];
    for (const url of metadataUrlsOf(issuer)) {
      const { status, json } = await get(url);
      if (status !== 200) failures.push(`${url} answered ${status}`);
      else return jwksUrlOf(json, issuer, url);
    }
    throw new Error(`no metadata: ${failures.join("; ")}`);
  };
  const findJwksUrl = async (): Promise<string> => {
    if (options.jwksUrl !== undefined) return options.jwksUrl;
    try {
      lastKnown = await discover();
    } catch (thrown) {
      if (lastKnown === undefined || thrown instanceof WrongMetadata) throw thrown;
    }
    return lastKnown;
  };
  return async () => {
    const url = await findJwksUrl();
    const { status, json } = await get(url);
    if (status !== 200) throw new Error(`${url} answered ${status}`);
    return toJwks(json);
  };
}

/**
 * Where metadata may be: OpenID Connect appends its well-known path to the issuer, RFC 8414 puts its own between host and
 * path.
 */
export function metadataUrlsOf(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

/** What an issuer says of itself is not to be used. */
class WrongMetadata extends Error {}

function jwksUrlOf(document: unknown, issuer: string, url: string): string {
  const metadata = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  if (metadata.issuer !== issuer) {
    throw new WrongMetadata(`${url} speaks for ${JSON.stringify(metadata.issuer)}, which is not exactly "${issuer}"`);
  }
  if (typeof metadata.jwks_uri !== "string") throw new WrongMetadata(`${url} names no jwks_uri`);
  return metadata.jwks_uri;
}

/** Throws for an address to which keys must not be asked for: plain HTTP, save to this machine where that is allowed. */
function requireSafe(text: string, allowsLoopback: boolean): void {
  if (!isSafeUrl(text, allowsLoopback)) throw new WrongMetadata(`${text} is no https address`);
}

export function isSafeUrl(text: string, allowsLoopback: boolean): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== "" || password !== "") return false;
  if (protocol === "https:") return true;
  return protocol === "http:" && allowsLoopback && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}
