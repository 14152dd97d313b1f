import type { PlinthError } from "../base/index.ts";
import type { Scheme } from "./presented.ts";
import { schemeOf } from "./presented.ts";

/** What a refused client is told of how to come in: the `WWW-Authenticate` of an answer, or undefined when it has none. */
export type Challenge = (status: number, failure: PlinthError, authorization: string | undefined) => string | undefined;

export interface ChallengeOptions {
  readonly realm: string;
  /** Where the metadata of this resource is (RFC 9728). */
  readonly resourceMetadata?: string | undefined;
  /** Algorithms of DPoP proofs, where bound tokens are taken. */
  readonly dpopAlgorithms?: readonly string[] | undefined;
  /** The header for API keys, where they are taken. */
  readonly apiKeyHeader?: string | undefined;
}

/** The error codes of RFC 6750, 3.1 and RFC 9449, 7.1. Who shows nothing, or what is not taken here, is told none. */
const errorByReason: Readonly<Record<string, string | undefined>> = {
  AUTHORIZATION_MALFORMED: "invalid_request",
  CREDENTIALS_AMBIGUOUS: "invalid_request",
  TOKEN_INVALID: "invalid_token",
  TOKEN_EXPIRED: "invalid_token",
  PROOF_INVALID: "invalid_dpop_proof",
  PROOF_NONCE_WANTED: "use_dpop_nonce",
  API_KEY_INVALID: "invalid_token",
  SCOPE_MISSING: "insufficient_scope",
};

/**
 * Each scheme that is taken, in one field: with 401 always; with 400 and 403 where there is an error to tell, and then of
 * the scheme that was used alone. The error stands with the scheme that the client used.
 */
export function createChallenge(options: ChallengeOptions): Challenge {
  const { realm, resourceMetadata, dpopAlgorithms, apiKeyHeader } = options;
  const about = resourceMetadata === undefined ? "" : `, resource_metadata="${resourceMetadata}"`;
  const schemes: (readonly [Scheme, (error: string) => string])[] = [
    ["bearer", (error) => `Bearer realm="${realm}"${error}${about}`],
  ];
  if (dpopAlgorithms) {
    const algs = dpopAlgorithms.join(" ");
    schemes.push(["dpop", (error) => `DPoP realm="${realm}"${error}, algs="${algs}"${about}`]);
  }
  if (apiKeyHeader !== undefined)
    schemes.push(["apikey", (error) => `ApiKey realm="${realm}"${error}, header="${apiKeyHeader}"`]);
  return (status, failure, authorization) => {
    if (status !== 401 && status !== 403 && status !== 400) return undefined;
    const code = errorByReason[failure.reason];
    if (status !== 401 && code === undefined) return undefined;
    const error = code === undefined ? "" : `, error="${code}"${scopeOf(failure)}`;
    const used = schemeUsed(failure, authorization, apiKeyHeader !== undefined);
    return schemes
      .filter(([scheme]) => status === 401 || scheme === used)
      .map(([scheme, write]) => write(scheme === used ? error : ""))
      .join(", ");
  };
}

function schemeUsed(failure: PlinthError, authorization: string | undefined, takesApiKeys: boolean): Scheme {
  if (authorization !== undefined) return schemeOf(authorization) ?? "bearer";
  const isApiKey = failure.reason === "API_KEY_INVALID" || (takesApiKeys && failure.reason === "SCOPE_MISSING");
  return isApiKey ? "apikey" : "bearer";
}

function scopeOf({ reason, details }: PlinthError): string {
  const scope = reason === "SCOPE_MISSING" ? details?.scope : undefined;
  return typeof scope === "string" && /^[\x21\x23-\x5b\x5d-\x7e ]+$/.test(scope) ? `, scope="${scope}"` : "";
}
