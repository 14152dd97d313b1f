import { compactVerify } from "jose";
import type { Clock } from "../base/index.ts";
import type { VerifiedClaims } from "./claims.ts";
import { checkClaims } from "./claims.ts";
import type { CompactToken } from "./compact-token.ts";
import { parseCompact } from "./compact-token.ts";
import { shown, TokenFault } from "./errors.ts";
import type { IssuerRules } from "./issuer.ts";
import type { KeySource } from "./key-source.ts";

/** An issuer that is believed, and its keys. */
export interface TrustedIssuer {
  readonly rules: IssuerRules;
  readonly keys: KeySource;
}

/** Longest token that is looked at. */
export const tokenLengthMax = 8192;

/**
 * Verifies a token: what costs nothing first, the signature last. Its issuer is found by what it says of itself, before
 * any key is looked at; from there on only what that issuer declared counts: its algorithms, its keys, its audience.
 *
 * Throws TokenFault for a token that is not good, and `unavailable` when its issuer's keys cannot be had.
 */
export function createTokenVerifier(
  issuers: readonly TrustedIssuer[],
  clock: Clock,
): (text: string) => Promise<VerifiedClaims> {
  const byUrl = new Map(issuers.map((each) => [each.rules.url, each]));
  return async (text) => {
    const token = parseCompact(text, { lengthMax: tokenLengthMax });
    const trusted = byUrl.get(token.payload.iss as string);
    if (!trusted) throw new TokenFault(`its iss is ${shown(token.payload.iss)}, which no issuer here has as its url`);
    const { rules, keys } = trusted;
    if (!(rules.algorithms as readonly string[]).includes(token.header.alg))
      throw new TokenFault(`its alg is ${shown(token.header.alg)}, and must be ${rules.algorithms.join(" or ")}`);
    const claims = checkClaims(token, rules, clock.wallNow());
    const key = await keys.keyFor(token.header);
    if (!key) throw new TokenFault(`its issuer has no key ${shown(token.header.kid)} for ${token.header.alg}`);
    await checkSignature(token, key);
    return claims;
  };
}

/** The algorithm is the key's, which is the header's too. Throws TokenFault. */
export async function checkSignature(
  token: CompactToken,
  { key, alg }: { readonly key: Parameters<typeof compactVerify>[1]; readonly alg: string },
): Promise<void> {
  try {
    await compactVerify(token.text, key, { algorithms: [alg] });
  } catch (cause) {
    throw new TokenFault("signed by another", { cause });
  }
}
