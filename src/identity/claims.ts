import type { Principal } from "../base/index.ts";
import type { CompactToken } from "./compact-token.ts";
import { shown, TokenFault } from "./errors.ts";
import type { ClaimNames, IssuerRules } from "./issuer.ts";

/** What a token says, once its signature was found good and its claims allowed. */
export interface VerifiedClaims {
  readonly principal: Principal;
  readonly issuer: string;
  /** `clock.wallNow()` milliseconds, the leeway not among them. */
  readonly expiresAt: number;
  readonly issuedAt: number;
  readonly tokenId: string | undefined;
  /** What the sender must prove to have (RFC 7800). */
  readonly confirmation: Confirmation | undefined;
}

/** A key of which the sender shows the private half: by a DPoP proof, or by the certificate of its TLS connection. */
export type Confirmation =
  | { readonly kind: "dpop"; readonly thumbprint: string }
  | { readonly kind: "certificate"; readonly thumbprint: string };

/** `typ` as an access token has it, and as those have it that cannot do better. */
const strictTypes: readonly (string | undefined)[] = ["at+jwt"];
const lenientTypes: readonly (string | undefined)[] = ["at+jwt", "jwt", undefined];

/** Checks what the header and the claims say (RFC 9068, 4; RFC 8725). Throws TokenFault. Says nothing of the signature. */
export function checkClaims(token: CompactToken, rules: IssuerRules, now: number): VerifiedClaims {
  const { payload, header } = token;
  if (!(rules.isStrict ? strictTypes : lenientTypes).includes(header.typ)) {
    const rule = rules.isStrict
      ? 'must be "at+jwt"; issuers that cannot are declared with typ: "any"'
      : "is none that access tokens have";
    throw new TokenFault(`its typ is ${shown(header.typ)}, and ${rule}`);
  }
  if (!audienceOf(payload.aud).some((each) => rules.audiences.has(each)))
    throw new TokenFault(
      `its aud is ${shown(payload.aud)}, and must be ${[...rules.audiences].map(shown).join(" or ")}`,
    );
  const times = timesOf(payload, rules, now);
  const subject = textOf(payload, "sub", rules.isStrict);
  const clientId = textOf(payload, "client_id", rules.isStrict) ?? textOf(payload, "azp") ?? textOf(payload, "cid");
  const who = subject ?? clientId;
  if (who === undefined) throw new TokenFault("of nobody");
  return {
    ...times,
    issuer: rules.url,
    tokenId: textOf(payload, "jti"),
    confirmation: confirmationOf(payload.cnf),
    principal: principalOf(payload, rules.subjectPrefix + who, clientId, rules),
  };
}

function audienceOf(value: unknown): readonly string[] {
  const list = typeof value === "string" ? [value] : value;
  if (!Array.isArray(list) || !list.every((each) => typeof each === "string")) throw new TokenFault("no audience");
  return list;
}

function timesOf(payload: CompactToken["payload"], rules: IssuerRules, now: number) {
  const { leewayMs, lifetimeMs, isStrict } = rules;
  const expiresAt = timeOf(payload, "exp");
  const notBefore = timeOf(payload, "nbf");
  const issuedAt = timeOf(payload, "iat");
  if (expiresAt === undefined) throw new TokenFault("without end");
  if (issuedAt === undefined && isStrict) throw new TokenFault("without beginning");
  if (now >= expiresAt + leewayMs) throw new TokenFault("expired", { isExpired: true });
  if (notBefore !== undefined && now + leewayMs < notBefore) throw new TokenFault("not good yet");
  if (issuedAt !== undefined && now + leewayMs < issuedAt) throw new TokenFault("made in the future");
  const begin = Math.min(issuedAt ?? now, now);
  if (expiresAt - begin > lifetimeMs + leewayMs) throw new TokenFault("good for longer than allowed");
  // A token that does not say when it was made may be older than any revocation.
  return { expiresAt, issuedAt: issuedAt ?? 0 };
}

/** A time claim in milliseconds: seconds since 1970, a fraction allowed (RFC 7519, 2). */
function timeOf(payload: CompactToken["payload"], name: string): number | undefined {
  const value = payload[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new TokenFault(`${name} is no time`);
  return value * 1000;
}

const textLengthMax = 512;

/** A claim that is a text, not empty and without control characters. */
function textOf(payload: CompactToken["payload"], name: string, isRequired = false): string | undefined {
  const value = payload[name];
  if (value === undefined && !isRequired) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
  if (typeof value !== "string" || value === "" || value.length > textLengthMax || /[\0-\x1f\x7f]/.test(value))
    throw new TokenFault(`${name} is no text`);
  return value;
}

/** A token that is bound in a way that cannot be checked here is good for nobody. */
function confirmationOf(cnf: unknown): Confirmation | undefined {
  if (cnf === undefined) return undefined;
  const members = typeof cnf === "object" && cnf !== null ? Object.entries(cnf) : [];
  const [name, thumbprint] = members[0] ?? [];
  if (members.length !== 1 || typeof thumbprint !== "string" || !/^[A-Za-z0-9_-]{43}$/.test(thumbprint))
    throw new TokenFault("bound to something unknown");
  if (name === "jkt") return { kind: "dpop", thumbprint };
  if (name === "x5t#S256") return { kind: "certificate", thumbprint };
  throw new TokenFault("bound to something unknown");
}

const registered: ReadonlySet<string> = new Set(["aud", "exp", "nbf", "iat", "sub", "scope", "scp", "cnf"]);

function principalOf(
  payload: CompactToken["payload"],
  subject: string,
  clientId: string | undefined,
  { claims: names, namesIssuer }: IssuerRules,
): Principal {
  const claims: Record<string, unknown> = {};
  for (const name of Object.keys(payload))
    if (!registered.has(name) && name !== "__proto__") claims[name] = payload[name];
  if (!namesIssuer) delete claims.iss;
  if (clientId !== undefined) claims.client_id = clientId;
  const roles = wordsOf(read(payload, names.roles ?? "roles"));
  if (roles) claims.roles = roles;
  else delete claims.roles;
  const tenant = read(payload, names.tenant ?? "tenant");
  if (typeof tenant === "string" && tenant !== "") claims.tenant = tenant;
  else delete claims.tenant;
  return Object.freeze({
    kind: "user",
    subject,
    scopes: Object.freeze(scopesOf(payload, names) ?? []),
    claims: Object.freeze(claims),
  });
}

function scopesOf(payload: CompactToken["payload"], names: ClaimNames): string[] | undefined {
  if (names.scopes !== undefined) return wordsOf(read(payload, names.scopes));
  return wordsOf(payload.scope) ?? wordsOf(payload.scp);
}

/** A list of words, or a text of words with spaces between; undefined for anything else. */
function wordsOf(value: unknown): string[] | undefined {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  return Array.isArray(value) && value.every((each) => typeof each === "string") ? [...value] : undefined;
}

/** A claim by its name, or else by a path with dots. */
function read(payload: CompactToken["payload"], name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const step of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}
