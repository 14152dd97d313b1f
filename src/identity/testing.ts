import type { Clock, Principal } from "../base/index.ts";
import { systemRandom } from "../base/index.ts";
import { hashOfApiKey, newApiKey } from "./api-key.ts";
import type { ApiKeyRecord } from "./api-key-store.ts";
import type { Authenticator } from "./authenticator.ts";
import { issuerUnavailable } from "./errors.ts";
import type { IdentityOptions, IdentityParts } from "./identity.ts";
import { createIdentity } from "./identity.ts";
import type { Presented } from "./presented.ts";
import type { TokenKeys } from "./token-keys.ts";

/** For tests: what a request shows, and an app that believes itself. */
export function showing(authorization: string | undefined, more: Partial<Presented> = {}): Presented {
  return {
    authorization,
    apiKey: undefined,
    dpop: undefined,
    method: "GET",
    url: () => "http://test/",
    certificate: () => undefined,
    ...more,
  };
}

export interface TestIdentity extends Authenticator {
  verify(authorization: string): Promise<Principal>;
}

export function testIdentity(
  own: { readonly name: string; readonly keys: TokenKeys } | undefined,
  clock: Clock,
  options: IdentityOptions = {},
  parts: Partial<IdentityParts> = {},
): TestIdentity {
  const { authenticator } = createIdentity(options, {
    realm: "shop",
    own,
    clock,
    allowsLoopback: true,
    fetchJson: async () => {
      throw issuerUnavailable(1000, "no network in this test");
    },
    ...parts,
  });
  return { ...authenticator, verify: (authorization) => authenticator.authenticate(showing(authorization)) };
}

export type { TestIssuer } from "./test-issuer.ts";
export { startIssuer } from "./test-issuer.ts";

/** API keys without a database. */
export function memoryApiKeys() {
  const records = new Map<string, ApiKeyRecord>();
  return {
    find: async (id: string) => records.get(id),
    make(changes: Partial<ApiKeyRecord> = {}): string {
      const { id, text } = newApiKey(systemRandom);
      records.set(id, {
        id,
        hash: hashOfApiKey(text),
        name: "",
        subject: "acme",
        scopes: [],
        roles: [],
        plan: undefined,
        tenant: undefined,
        createdAt: 0,
        expiresAt: undefined,
        revokedAt: undefined,
        successor: undefined,
        ...changes,
      });
      return text;
    },
  };
}
