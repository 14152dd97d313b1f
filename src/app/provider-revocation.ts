import type { RevocationStore } from "../identity/index.ts";
import type { IdentityProvider } from "../provider/index.ts";

/** How long an answer about a token is believed. */
const believedMs = 5_000;

/**
 * What was taken back, and beside it what the app's own provider revoked: a sign-in that ended takes its access tokens
 * with it. In the process that revoked it at once, in the others within 5 s. While the database is away nobody can know,
 * and whoever has to be asked about is refused with 503.
 */
export function withProviderRevocations(store: RevocationStore, provider: IdentityProvider): RevocationStore {
  return {
    freshMs: Math.min(store.freshMs, believedMs),
    get onRevoked() {
      return store.onRevoked;
    },
    set onRevoked(listener) {
      store.onRevoked = listener;
      provider.onRevoked = listener;
    },
    add: (revoked) => store.add(revoked),
    async has(claims) {
      if (await store.has(claims)) return true;
      const { grant_id: grant } = claims.principal.claims;
      return claims.issuer === provider.issuer && typeof grant === "string" && provider.isRevoked(grant);
    },
  };
}
