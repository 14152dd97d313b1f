import type { App } from "./app.ts";

/** Whom the gateway believes, as plain data. Where the issuers are may be set otherwise when the app is deployed. */
export interface ModelIdentity {
  /** Null: as long as nothing else is believed, and in production where a key is set. */
  readonly ownTokens: boolean | null;
  readonly issuers: readonly {
    readonly name: string | null;
    readonly url: string;
    readonly audiences: readonly string[];
    /** Null: the default ones. */
    readonly algorithms: readonly string[] | null;
    readonly typ: "at+jwt" | "any";
    /** Its keys are in this process. */
    readonly local: boolean;
  }[];
  /** The app has an identity provider of its own. */
  readonly provider: boolean;
  readonly apiKeys: { readonly header: string } | null;
  /** Tokens that are bound to a key of the client are taken. */
  readonly dpop: boolean;
  /** The address of the app as its clients know it. */
  readonly url: string | null;
}

export function toModelIdentity({ gateway: { identity = {} } }: App): ModelIdentity {
  const { issuers = [], ownTokens, provider, apiKeys, dpop = false, url } = identity;
  return {
    ownTokens: ownTokens ?? null,
    issuers: issuers.map((each) => ({
      name: each.name ?? null,
      url: each.url,
      audiences: typeof each.audience === "string" ? [each.audience] : [...each.audience],
      algorithms: each.algorithms ? [...each.algorithms] : null,
      typ: each.typ ?? "at+jwt",
      local: each.keys !== undefined,
    })),
    provider: provider !== undefined,
    apiKeys: apiKeys ? { header: apiKeys.header ?? "X-API-Key" } : null,
    dpop: dpop !== false,
    url: url ?? null,
  };
}
