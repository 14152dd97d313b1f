import type { PlinthError } from "../base/index.ts";
import { error, StartError } from "../base/index.ts";

/** What can be wrong with who somebody says they are. The messages say what to do, and never why a token was not believed. */

/** AUTHORIZATION_MALFORMED: the header is a scheme that is known here, but what follows is not one token. */
export const authorizationMalformed = (cause?: unknown): PlinthError =>
  error("invalid_argument", "The Authorization header must be a scheme, a space, and one token.", {
    reason: "AUTHORIZATION_MALFORMED",
    executed: "no",
    cause,
  });

/** SCHEME_UNKNOWN: the Authorization header names a scheme that is not taken here. */
export const schemeUnknown = (schemes: string): PlinthError =>
  error("unauthenticated", `The Authorization header must use ${schemes}.`, {
    reason: "SCHEME_UNKNOWN",
    executed: "no",
  });

/** CREDENTIALS_AMBIGUOUS: two ways of saying who calls, of which one could be somebody else's. */
export const credentialsAmbiguous = (): PlinthError =>
  error("invalid_argument", "Send one credential: an Authorization header or an API key, not both.", {
    reason: "CREDENTIALS_AMBIGUOUS",
    executed: "no",
  });

/** TOKEN_INVALID, TOKEN_EXPIRED: the token is not one of those trusted here, not for us, or not good any more. */
export const tokenInvalid = (isExpired: boolean, cause: unknown): PlinthError =>
  error("unauthenticated", isExpired ? "The token has expired." : "The token is not valid.", {
    reason: isExpired ? "TOKEN_EXPIRED" : "TOKEN_INVALID",
    executed: "no",
    cause,
  });

/** ISSUER_UNAVAILABLE: the token may be good, but the keys to check it with could not be fetched. Nothing was executed. */
export const issuerUnavailable = (retryMs: number, cause: unknown): PlinthError =>
  error("unavailable", "Tokens of this issuer cannot be checked now. Try again shortly.", {
    reason: "ISSUER_UNAVAILABLE",
    retry: Math.max(1000, Math.ceil(retryMs)),
    executed: "no",
    cause,
  });

/** ISSUER_INVALID, TOKEN_KEY_INVALID and the rest stop the start. */
export const wrongIdentity = (reason: string, problems: string | readonly string[], cause?: unknown): StartError =>
  new StartError(reason, problems, cause === undefined ? undefined : { cause });

/** What a token says, for the log: on one line, and not longer than anybody reads. */
export function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 120) ?? "none";
}

/** Why a token is not believed: for the log alone. */
export class TokenFault extends Error {
  override readonly name = "TokenFault";
  readonly isExpired: boolean;

  constructor(message: string, options: { readonly isExpired?: boolean; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.isExpired = options.isExpired ?? false;
  }
}
