import { StartError } from "../base/index.ts";
import type { IssuerDefinition } from "../identity/index.ts";
import { issuer } from "../identity/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import type { App } from "./app.ts";
import type { Settings } from "./settings.ts";

export interface IssuersParts {
  readonly definition: App;
  readonly settings: Pick<Settings, "issuer" | "issuers" | "audience">;
  readonly provider: IdentityProvider | undefined;
}

/**
 * The issuers that are believed: those that the app declares, at the addresses that the settings give, and the app's own
 * provider. `PLINTH_ISSUER` puts another one in the place of the provider, or of the only one that is declared; where
 * there is none, it adds one. What is checked of its tokens stays as declared. Throws StartError ISSUER_UNCLEAR.
 */
export function resolveIssuers({ definition, settings, provider }: IssuersParts): readonly IssuerDefinition[] {
  const named = withNames(definition.gateway.identity?.issuers ?? [], settings.issuers);
  const audience = settings.audience ?? definition.gateway.identity?.provider?.audience ?? definition.name;
  if (settings.issuer === undefined) {
    const all = [...named, ...(provider ? [ownProvider(provider)] : [])];
    if (settings.audience === undefined) return all;
    const [only, ...others] = named;
    if (!only || others.length > 0) throw unclear("PLINTH_AUDIENCE", named.length);
    return [{ ...only, audience: settings.audience }, ...all.slice(1)];
  }
  if (definition.gateway.identity?.provider || named.length === 0)
    return [...named, issuer({ url: settings.issuer, audience })];
  const [only, ...others] = named;
  if (!only || others.length > 0) throw unclear("PLINTH_ISSUER", named.length);
  const { jwksUrl: _elsewhere, keys: _here, ...checks } = only;
  return [{ ...checks, url: settings.issuer, audience: settings.audience ?? only.audience }];
}

/** In this process: its keys are asked for, not fetched. */
function ownProvider({ issuer: url, audience, jwks }: IdentityProvider): IssuerDefinition {
  return issuer({ url, audience, algorithms: ["ES256"], keys: jwks });
}

function withNames(
  issuers: readonly IssuerDefinition[],
  urls: ReadonlyMap<string, string> | undefined,
): readonly IssuerDefinition[] {
  if (!urls) return issuers;
  for (const name of urls.keys()) {
    if (issuers.some((each) => each.name === name)) continue;
    const known = issuers.map((each) => each.name).filter((each) => each !== undefined);
    throw new StartError(
      "ISSUER_UNCLEAR",
      `PLINTH_ISSUERS: no issuer has the name "${name}"; ${known.length > 0 ? `there are ${known.join(", ")}` : 'give one to an issuer: issuer({ name: "main", … })'}.`,
    );
  }
  return issuers.map((each) => {
    const url = each.name === undefined ? undefined : urls.get(each.name);
    if (url === undefined) return each;
    const { jwksUrl: _elsewhere, keys: _here, ...checks } = each;
    return { ...checks, url };
  });
}

const unclear = (variable: string, count: number): StartError =>
  new StartError(
    "ISSUER_UNCLEAR",
    `${variable}: the app declares ${count === 0 ? "no issuer" : `${count} issuers`}, so it is not clear which one is meant; ${count === 0 ? "set PLINTH_ISSUER too, or leave it out" : 'name them, issuer({ name: "main", … }), and set PLINTH_ISSUERS="main=https://…"'}.`,
  );
