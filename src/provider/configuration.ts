import type { Account, Client, Configuration, errors, Grant, KoaContextWithOIDC, Provider } from "oidc-provider";
import type { ArtifactStore } from "./artifacts.ts";
import type { ClientStore } from "./clients.ts";
import { ownMetadata, toMetadata } from "./clients.ts";
import type { ProviderDefinition } from "./provider.ts";
import type { ProviderSecret } from "./secret.ts";
import type { SigningKey } from "./signing-keys.ts";
import { errorPage, sendKoaPage, signedOutPage, signOutPage, sourceOf } from "./status-pages.ts";
import type { User, UserStore } from "./users.ts";

/** What oidc-provider is told: little is left to its defaults, and whatever this provider does not promise is off. */
export interface ConfigurationParts {
  readonly definition: ProviderDefinition;
  readonly issuer: string;
  readonly audience: string;
  /** What people read: the app. */
  readonly title: string;
  readonly secret: ProviderSecret;
  readonly keys: readonly SigningKey[];
  readonly artifacts: ArtifactStore;
  readonly clients: ClientStore;
  readonly users: UserStore;
  readonly errors: typeof errors;
}

const codeSeconds = 60;
const interactionSeconds = 1800;
/** However often its tokens are refreshed, a sign-in ends after half a year. */
const grantSecondsMin = 180 * 86_400;

export function configure(parts: ConfigurationParts): Configuration {
  const { definition, secret } = parts;
  const reused = () => new parts.errors.InvalidGrant("used for the second time");
  const isSecure = parts.issuer.startsWith("https:");
  return {
    adapter: (model: string) => (model === "Client" ? clientAdapter(parts) : parts.artifacts.adapter(model, reused)),
    jwks: { keys: parts.keys.map(({ jwk }) => ({ ...jwk }) as never) },
    routes: {
      authorization: "/authorize",
      token: "/token",
      jwks: "/jwks",
      revocation: "/revoke",
      end_session: "/sign-out",
      pushed_authorization_request: "/par",
    },
    features: featuresOf(parts),
    scopes: ["openid", "offline_access"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email"] },
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
    responseTypes: ["code"],
    subjectTypes: ["public"],
    enabledJWA: { idTokenSigningAlgValues: ["ES256"], dPoPSigningAlgValues: ["ES256", "Ed25519"] },
    clientDefaults: { id_token_signed_response_alg: "ES256", token_endpoint_auth_method: "none" },
    extraClientMetadata: { properties: [...ownMetadata] },
    allowOmittingSingleRegisteredRedirectUri: false,
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    clientBasedCORS: (_ctx, origin, client) => allowsOrigin(client, origin),
    cookies: {
      names: cookieNames(isSecure),
      keys: secret.cookies as never,
      long: { httpOnly: true, sameSite: "lax", path: "/", secure: isSecure },
      short: { httpOnly: true, sameSite: "lax", secure: isSecure },
    },
    ttl: {
      AccessToken: () => toSeconds(definition.accessTokenMs),
      ClientCredentials: () => toSeconds(definition.accessTokenMs),
      AuthorizationCode: codeSeconds,
      IdToken: () => toSeconds(definition.accessTokenMs),
      Interaction: interactionSeconds,
      RefreshToken: () => toSeconds(definition.refreshTokenMs),
      Session: () => toSeconds(definition.sessionMs),
      Grant: Math.max(grantSecondsMin, toSeconds(definition.refreshTokenMs)),
    },
    interactions: {
      url: (_ctx, interaction) => `${new URL(parts.issuer).pathname}/interaction/${interaction.uid}`,
    },
    findAccount: async (_ctx, id) => toAccount(await parts.users.find(id)),
    loadExistingGrant: loadGrant,
    extraTokenClaims: tokenClaims,
    renderError: (ctx, out) => sendKoaPage(ctx, errorPage(parts.title, out.error, out.error_description)),
  };
}

/** What is on beside the defaults (DPoP and pushed requests), and off: who a person is stands in the ID token. */
function featuresOf(parts: ConfigurationParts): NonNullable<Configuration["features"]> {
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) =>
        sendKoaPage(ctx, signOutPage(parts.title, form, sourceOf(ctx.oidc.params?.post_logout_redirect_uri))),
      postLogoutSuccessSource: (ctx) => sendKoaPage(ctx, signedOutPage(parts.title)),
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resourceOf(parts),
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => resourceServer(parts, ctx, resource, client),
    },
    userinfo: { enabled: false },
  };
}

/** A session's cookie is bound to the host and its root; the others belong to the path of one interaction. */
export function cookieNames(isSecure: boolean) {
  return isSecure
    ? { session: "__Host-plinth-session", interaction: "__Secure-plinth-interaction", resume: "__Secure-plinth-resume" }
    : { session: "plinth-session", interaction: "plinth-interaction", resume: "plinth-resume" };
}

/** The app as a resource (RFC 8707): where its methods are. */
function resourceOf({ issuer }: ConfigurationParts): string {
  return `${new URL(issuer).origin}/`;
}

function clientAdapter({ clients, definition, artifacts }: ConfigurationParts) {
  return {
    ...artifacts.adapter("Client", neverUsed),
    async find(id: string) {
      const client = await clients.get(id);
      return client && toMetadata(client, definition.scopes);
    },
  };
}

const neverUsed = () => new Error("assertion failed: a client is not used up");

/**
 * What a token for the app may hold: of the scopes that were asked for, those that the client may have, and of these, where
 * it acts for a person, those that the person may have.
 */
async function resourceServer(parts: ConfigurationParts, ctx: KoaContextWithOIDC, resource: string, client: Client) {
  const { definition, errors } = parts;
  if (resource !== resourceOf(parts)) throw new errors.InvalidTarget("there is no such resource");
  const own = new Set(client.plinth_scopes as readonly string[]);
  for (const scope of ctx.oidc.requestParamScopes) {
    if (definition.scopes.has(scope) && !own.has(scope))
      throw new errors.InvalidScope("requested scope is not allowed", scope);
  }
  const account = ctx.oidc.entities.Account ?? toAccount(await userOf(parts, ctx));
  const user = account?.user as User | undefined;
  const held = [...own].filter(
    (scope) => !user || definition.scopes.get(scope)?.everyone || user.scopes.includes(scope),
  );
  return {
    scope: held.join(" "),
    audience: parts.audience,
    accessTokenFormat: "jwt" as const,
    accessTokenTTL: toSeconds(definition.accessTokenMs),
    jwt: { sign: { alg: "ES256" as const } },
  };
}

async function userOf({ users }: ConfigurationParts, ctx: KoaContextWithOIDC): Promise<User | undefined> {
  const id = ctx.oidc.session?.accountId;
  return id === undefined ? undefined : users.find(id);
}

/** Whoever is disabled is nobody. */
function toAccount(user: User | undefined): Account | undefined {
  if (!user || user.isDisabled) return undefined;
  return {
    accountId: user.id,
    user,
    claims: () => ({
      sub: user.id,
      name: user.displayName,
      preferred_username: user.name,
      ...(user.email !== undefined && { email: user.email }),
    }),
  };
}

/** A client of the app's own is not asked about: its grant is what it asks for, as far as it may have it. */
async function loadGrant(ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { oidc } = ctx;
  const client = oidc.client as Client;
  const { Grant } = oidc.provider as Provider;
  const id = oidc.result?.consent?.grantId ?? oidc.session?.grantIdFor(client.clientId);
  const known = id === undefined ? undefined : await Grant.find(id);
  if (client.plinth_asks) return known;
  const grant = known ?? new Grant({ accountId: oidc.account?.accountId as string, clientId: client.clientId });
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(" "));
  for (const [resource, server] of Object.entries(oidc.resourceServers ?? {})) {
    const scopes = [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope));
    if (scopes.length > 0) grant.addResourceScope(resource, scopes.join(" "));
  }
  await grant.save();
  return grant;
}

/** RFC 9068, 2.2.2 and 2.2.3: who it is, where that was asked for, and the roles. */
function tokenClaims(ctx: KoaContextWithOIDC, token: { readonly grantId?: unknown; readonly kind?: unknown }) {
  const { Account: account, AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities;
  const user = account?.user as User | undefined;
  if (!user) return {};
  const scopes = (code?.scope ?? refresh?.scope ?? "").split(" ");
  return {
    grant_id: token.grantId,
    ...(user.roles.length > 0 && { roles: [...user.roles] }),
    ...(scopes.includes("profile") && { name: user.displayName }),
    ...(scopes.includes("email") && user.email !== undefined && { email: user.email }),
  };
}

/** A page may ask for tokens from where people come back to it. */
function allowsOrigin(client: Client, origin: string): boolean {
  if (client.applicationType !== "web" || client.tokenEndpointAuthMethod !== "none") return false;
  return (client.redirectUris ?? []).some((uri) => new URL(uri).origin === origin);
}

function toSeconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}
