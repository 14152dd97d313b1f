import type { Clock } from "../../base/index.ts";
import { systemClock } from "../../base/index.ts";
import type { TokenIssuer, TokenRequest } from "../../identity/index.ts";
import { createTokenIssuer, createTokenKeys, generateTokenSecret } from "../../identity/index.ts";
import type { Credential } from "./access-case.ts";

export interface AccessTokensOptions {
  /** The app's own key, as PLINTH_TOKEN_KEY has it. */
  readonly secret: string;
  /** The app's name: issuer and audience of its own tokens. */
  readonly name: string;
}

/** Makes the `Authorization` header of each credential; undefined for none. */
export type AccessTokens = (credential: Credential, request: TokenRequest) => Promise<string | undefined>;

const stranger = "somebody-else";

export async function createAccessTokens({ secret, name }: AccessTokensOptions): Promise<AccessTokens> {
  const keys = await createTokenKeys({ secret });
  const foreign = await createTokenKeys({ secret: generateTokenSecret() });
  const issuer = (changes: Partial<Parameters<typeof createTokenIssuer>[0]> = {}): TokenIssuer =>
    createTokenIssuer({ keys, issuer: name, audience: name, ...changes });
  const issuers: Partial<Record<Credential, TokenIssuer>> = {
    // Signed by a key that is not the app's, under the id of the one that is.
    forged: issuer({ keys: { ...foreign, signingKeyId: keys.signingKeyId } }),
    expired: issuer({ clock: aDayAgo(systemClock) }),
    "for another audience": issuer({ audience: `${name}-of-another` }),
    "of another issuer": issuer({ issuer: `${name}-of-another` }),
  };
  const own = issuer();
  return async (credential, request) => {
    if (credential === "no token") return undefined;
    if (credential === "no JWT") return "Bearer c29tZXRoaW5n";
    const { token } = await (issuers[credential] ?? own).issue(changed(credential, request));
    return `Bearer ${token}`;
  };
}

function changed(credential: Credential, request: TokenRequest): TokenRequest {
  if (credential === "without scopes and roles") return { ...request, scopes: [], roles: [] };
  // With every claim of the right one: only the subject and the tenant are others.
  if (credential !== "of a stranger") return request;
  const tenant = request.claims?.tenant === undefined ? {} : { tenant: stranger };
  return { ...request, subject: stranger, claims: { ...request.claims, ...tenant } };
}

function aDayAgo(clock: Clock): Clock {
  return { ...clock, now: () => clock.now(), wallNow: () => clock.wallNow() - 86_400_000 };
}
