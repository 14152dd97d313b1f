import type { Algorithm } from "./algorithm.ts";
import { isSafeUrl } from "./discovery.ts";

/** What the app says of itself to whoever wants a token for it (RFC 9728). */
export interface ResourceMetadata {
  /** Where it stands, and what `WWW-Authenticate` names. */
  readonly url: string;
  /** The same without its host. */
  readonly path: string;
  readonly document: Readonly<Record<string, unknown>>;
}

export interface DescribedOptions {
  /** The address of the app as its clients know it. */
  readonly url?: string;
  readonly issuers?: readonly { readonly url: string }[];
}

export interface DescribedParts {
  readonly allowsLoopback: boolean;
  readonly scopes?: readonly string[];
  readonly dpop: readonly Algorithm[] | undefined;
}

const wellKnown = "/.well-known/oauth-protected-resource";

/** Undefined where the app's address is not known. Notes what is wrong in `problems`. */
export function describeResource(
  { url, issuers = [] }: DescribedOptions,
  { allowsLoopback, scopes = [], dpop }: DescribedParts,
  problems: string[],
): ResourceMetadata | undefined {
  if (url === undefined) return undefined;
  if (!isSafeUrl(url, allowsLoopback) || /[?#"\\\s]/.test(url)) {
    problems.push(
      `gateway: identity: url ${JSON.stringify(url)}: give the https address by which clients know the app, such as "https://api.example.com".`,
    );
    return undefined;
  }
  const { origin, pathname } = new URL(url);
  // Put between host and path (RFC 9728, 3.1).
  const path = wellKnown + (pathname === "/" ? "" : pathname);
  const servers = issuers.map((each) => each.url);
  return {
    url: origin + path,
    path,
    document: {
      resource: url,
      // What would be empty is left out.
      ...(servers.length > 0 && { authorization_servers: servers }),
      ...(scopes.length > 0 && { scopes_supported: scopes }),
      bearer_methods_supported: ["header"],
      ...(dpop && { dpop_signing_alg_values_supported: dpop }),
    },
  };
}
