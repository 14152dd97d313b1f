import type { ManualClock } from "../../base/index.ts";
import { createManualClock, createSeededRandom } from "../../base/index.ts";
import type { TokenKeys } from "../../identity/index.ts";
import {
  apiKeys,
  createTokenIssuer,
  createTokenKeys,
  generateTokenSecret,
  issuer,
  memoryReplayStore,
} from "../../identity/index.ts";
import { memoryApiKeys, testIdentity } from "../../identity/testing.ts";
import { t } from "../../schema/index.ts";
import { method } from "../../service/index.ts";
import type { Gateway } from "../gateway.ts";
import type { Answer } from "../testing.ts";
import { ask, testGateway } from "../testing.ts";
import type { Signer } from "./forge.fixture.ts";
import { compact, sha256, signer, thumbprint } from "./forge.fixture.ts";

/**
 * A gateway that believes three issuers and API keys, and the attacks on it. Each case is one request, the same as a good
 * one but for what its name says.
 */
export interface TokenCase {
  /** What kind of attack: "algorithm confusion". */
  readonly group: string;
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Default "GET /known". */
  readonly line?: string;
  /** Default 401, TOKEN_INVALID and "invalid_token" for Bearer. */
  readonly status?: number;
  readonly reason?: string;
  /** The error of the challenge and with which scheme it stands; "" for none at all. Default "Bearer invalid_token". */
  readonly challenge?: string;
}

export interface TokenWorld {
  readonly clock: ManualClock;
  /** Seconds since 1970. */
  readonly now: number;
  readonly port: number;
  readonly gateway: Gateway;
  readonly keys: TokenKeys;
  /** The app itself, by its own name. */
  readonly own: Signer;
  /** "https://login.example.com", RS256 alone. */
  readonly login: Signer;
  /** "https://id.example.org/tenant", EdDSA alone, and lenient about `typ`. */
  readonly tenant: Signer;
  /** An attacker's keys, with the ids of the good ones. */
  readonly evil: { readonly own: Signer; readonly login: Signer; readonly tenant: Signer };
  /** The key of a client that proves it. */
  readonly client: Signer;
  readonly apiKeys: ReturnType<typeof memoryApiKeys>;
  /** A good payload of an issuer, with changes; undefined takes a member away. */
  payload(of: IssuerName, changes?: object): Record<string, unknown>;
  header(of: IssuerName, changes?: object): Record<string, unknown>;
  /** A token that is good but for the changes. */
  token(of: IssuerName, payload?: object, header?: object): string;
  proof(token: string, changes?: object, header?: object, by?: Signer): string;
}

export type IssuerName = "own" | "login" | "tenant";

export const urls: Readonly<Record<IssuerName, string>> = {
  own: "shop",
  login: "https://login.example.com",
  tenant: "https://id.example.org/tenant",
};

/** The host that clients use, so that proofs can name it. */
export const host = "api.example.com";

export async function startTokenWorld(): Promise<TokenWorld> {
  const clock = createManualClock(1_790_000_000_000);
  const now = clock.wallNow() / 1000;
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const kid = keys.signingKeyId;
  const own: Signer = { kid, alg: "ES256", key: keys.signingKey, jwk: { ...keys.jwks.keys[0] } };
  const login = signer("RSA", "rsa-1", "RS256");
  const tenant = signer("Ed25519", "ed-1", "EdDSA");
  const signers = { own, login, tenant };
  const client = signer("P-256", "client", "ES256");
  const store = memoryApiKeys();
  const authenticator = testIdentity(
    { name: "shop", keys },
    clock,
    {
      issuers: [
        issuer({ url: urls.login, audience: ["shop", "shop-admin"], algorithms: ["RS256"] }),
        issuer({ url: urls.tenant, audience: "shop", algorithms: ["EdDSA"], typ: "any" }),
      ],
      apiKeys: apiKeys(),
      dpop: true,
    },
    { replays: memoryReplayStore(clock), keyStore: store, fetchJson: async (url) => documentOf(url, signers) },
  );
  const handle = (_: unknown, call: { principal: { subject: string } }) => ({ subject: call.principal.subject });
  const response = t.Object({ subject: t.String() });
  const gateway = testGateway(
    {
      known: { method: method({ http: "GET /known", response }), handle },
      open: { method: method({ http: "GET /open", access: "public", response }), handle },
      write: { method: method({ http: "POST /write", access: { scope: "cart:write" }, response }), handle },
    },
    { authenticator },
  );
  const { port } = await gateway.start();
  const payload: TokenWorld["payload"] = (of, changes = {}) => ({
    iss: urls[of],
    aud: "shop",
    sub: "u1",
    client_id: "c1",
    iat: now,
    exp: now + 300,
    jti: "t1",
    scope: "cart:read",
    ...changes,
  });
  const header: TokenWorld["header"] = (of, changes = {}) => ({
    alg: signers[of].alg,
    typ: "at+jwt",
    kid: signers[of].kid,
    ...changes,
  });
  let proofs = 0;
  return {
    clock,
    now,
    port,
    gateway,
    keys,
    ...signers,
    evil: {
      own: { ...signer("P-256", "evil", "ES256"), kid },
      login: { ...signer("RSA", "evil", "RS256"), kid: login.kid },
      tenant: { ...signer("Ed25519", "evil", "EdDSA"), kid: tenant.kid },
    },
    client,
    apiKeys: store,
    payload,
    header,
    token: (of, p, h) => compact(header(of, h), payload(of, p), signers[of]),
    proof(token, changes = {}, headerChanges = {}, by = client) {
      const claims = { jti: `p${++proofs}`, htm: "GET", htu: `http://${host}/known`, iat: now, ath: sha256(token) };
      const { kid: _kid, alg: _alg, use: _use, ...jwk } = by.jwk;
      return compact({ typ: "dpop+jwt", alg: by.alg, jwk, ...headerChanges }, { ...claims, ...changes }, by);
    },
  };
}

/** What the two issuers elsewhere publish. */
function documentOf(url: string, { login, tenant }: { readonly login: Signer; readonly tenant: Signer }) {
  const json = url.startsWith("https://login.example.com/.well-known/")
    ? { issuer: urls.login, jwks_uri: "https://login.example.com/jwks" }
    : url === "https://login.example.com/jwks"
      ? { keys: [login.jwk] }
      : url === `${urls.tenant}/.well-known/openid-configuration`
        ? { issuer: urls.tenant, jwks_uri: "https://keys.example.org/tenant" }
        : url === "https://keys.example.org/tenant"
          ? { keys: [tenant.jwk] }
          : undefined;
  return { status: json ? 200 : 404, headers: {}, json };
}

/** A token bound to the client's key. */
export function boundTo(world: TokenWorld, by: Signer = world.client): string {
  return world.token("login", { cnf: { jkt: thumbprint(by.jwk) } });
}

export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** The whole request, byte for byte: one connection, and nothing that a client would set right. */
export function send(
  world: Pick<TokenWorld, "port">,
  { line = "GET /known", headers }: Pick<TokenCase, "line" | "headers">,
): Promise<Answer> {
  const length = line.startsWith("POST") ? "Content-Length: 0\r\n" : "";
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    // "Name#2" is a second header of that name.
    [`${name.replace(/#\d$/, "")}: ${Buffer.from(value).toString("latin1")}\r\n`],
  );
  return ask(world.port, `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${length}${lines.join("")}\r\n`);
}

/** What must stand in `WWW-Authenticate`. */
export function expectedChallenge({ status = 401, challenge = "Bearer invalid_token" }: TokenCase): string | undefined {
  const [scheme, code] = challenge.split(" ");
  const scope = code === "insufficient_scope" ? ', scope="cart:write"' : "";
  const of = (name: string) => (name === scheme && code ? `, error="${code}"${scope}` : "");
  const all = [
    ["Bearer", `Bearer realm="shop"${of("Bearer")}`],
    ["DPoP", `DPoP realm="shop"${of("DPoP")}, algs="ES256 EdDSA Ed25519"`],
    ["ApiKey", `ApiKey realm="shop"${of("ApiKey")}, header="X-API-Key"`],
  ] as const;
  if (status === 401) return all.map(([, text]) => text).join(", ");
  return challenge === "" ? undefined : all.find(([name]) => name === scheme)?.[1];
}

/** What is wrong with the answer; undefined when it is as it must be. */
export async function judge(world: TokenWorld, each: TokenCase): Promise<string | undefined> {
  const { status = 401, reason = "TOKEN_INVALID" } = each;
  const answer = await send(world, each);
  const expected = expectedChallenge(each);
  const told = `${answer.status} ${answer.headers["www-authenticate"] ?? ""} ${answer.body}`;
  if (answer.status !== status) return `${status} was due: ${told}`;
  if (answer.headers["content-type"] !== "application/problem+json") return `no problem document: ${told}`;
  const problem = JSON.parse(answer.body) as { reason?: string; status?: number };
  if (problem.reason !== reason || problem.status !== status) return `${reason} was due: ${told}`;
  if (answer.headers["www-authenticate"] !== expected) return `the challenge ${expected} was due: ${told}`;
  return undefined;
}

/** A good token of the app itself, as its own issuer makes it. */
export async function ownToken({ keys, clock }: TokenWorld): Promise<string> {
  const names = { issuer: "shop", audience: "shop" };
  const made = createTokenIssuer({ keys, ...names, clock, random: createSeededRandom(7) });
  return (await made.issue({ subject: "u1" })).token;
}
