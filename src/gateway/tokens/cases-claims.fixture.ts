import type { IssuerName, TokenCase, TokenWorld } from "./matrix.fixture.ts";
import { bearer, urls } from "./matrix.fixture.ts";

/** Attacks on what a token says. All are signed by the issuer itself: the signature is good. */
export function claimCases(world: TokenWorld): TokenCase[] {
  const both = (group: string, changes: Readonly<Record<string, object>>): TokenCase[] =>
    (["own", "login"] as const).flatMap((of) =>
      Object.entries(changes).map(([name, change]) => ({
        group,
        name: `${name}, of ${of}`,
        headers: bearer(world.token(of, change)),
        ...(name.startsWith("expired") && { reason: "TOKEN_EXPIRED" }),
      })),
    );
  return [
    ...both("expiry and not-before", times(world.now)),
    ...both("audience", audiences),
    ...issuers(world),
    ...types(world),
    ...both("subject and client", people),
    ...scopes(world),
  ];
}

const times = (now: number): Record<string, object> => ({
  "expired an hour ago": { iat: now - 7200, exp: now - 3600 },
  "expired as long ago as the leeway": { exp: now - 5 },
  "expired before it was made": { iat: now, exp: now - 60 },
  "expired in 1970": { iat: 0, exp: 0 },
  "expired a fraction ago": { exp: now - 5.5 },
  "no exp": { exp: undefined },
  "exp is null": { exp: null },
  "exp is a text": { exp: String(now + 300) },
  "exp is an ISO time": { exp: new Date((now + 300) * 1000).toISOString() },
  "exp is a list": { exp: [now + 300] },
  "exp is true": { exp: true },
  "exp is an object": { exp: { valueOf: now + 300 } },
  "exp is negative": { exp: -1 },
  "exp in milliseconds": { exp: (now + 300) * 1000 },
  "exp in a hundred years": { exp: now + 3_155_760_000 },
  "good for a second longer than allowed": { exp: now + 86_406 },
  "begins in a minute": { nbf: now + 60 },
  "begins just after the leeway": { nbf: now + 6 },
  "nbf is a text": { nbf: "0" },
  "nbf is null": { nbf: null },
  "nbf is negative": { nbf: -5 },
  "nbf in milliseconds": { nbf: now * 1000 },
  "made in a minute": { iat: now + 60 },
  "made in milliseconds": { iat: now * 1000 },
  "no iat": { iat: undefined },
  "iat is a text": { iat: String(now) },
  "iat is null": { iat: null },
});

const audiences: Record<string, object> = {
  none: { aud: undefined },
  null: { aud: null },
  empty: { aud: "" },
  "an empty list": { aud: [] },
  "another app": { aud: "warehouse" },
  "a list of others": { aud: ["warehouse", "billing"] },
  "capital letters": { aud: "SHOP" },
  "a beginning": { aud: "sho" },
  "a longer name": { aud: "shop2" },
  "blanks around it": { aud: " shop " },
  "a list as a text": { aud: "shop warehouse" },
  "a number": { aud: 1 },
  "an object": { aud: { shop: true } },
  "a list with a number": { aud: ["shop", 1] },
  "a list in a list": { aud: [["shop"]] },
  "a pattern": { aud: "*" },
  "a name that every object has": { aud: "constructor" },
};

function issuers(world: TokenWorld): TokenCase[] {
  const group = "issuer";
  const said: Record<string, unknown> = {
    none: undefined,
    null: null,
    empty: "",
    unknown: "https://evil.example",
    "with a slash behind": `${urls.login}/`,
    "without its path": "https://id.example.org",
    "in plain HTTP": "http://login.example.com",
    "in capital letters": "HTTPS://LOGIN.EXAMPLE.COM",
    "with its port": "https://login.example.com:443",
    "with a user": "https://login.example.com@evil.example",
    "below it": "https://login.example.com.evil.example",
    "a list": [urls.login],
    "a number": 7,
    "an object": { toString: urls.login },
    "a name that every object has": "constructor",
    "the prototype": "__proto__",
  };
  return (["own", "login", "tenant"] as const).flatMap((of) =>
    Object.entries(said).map(([name, iss]) => ({
      group,
      name: `${name}, signed by ${of}`,
      headers: bearer(world.token(of, { iss })),
    })),
  );
}

function types(world: TokenWorld): TokenCase[] {
  const of = (who: IssuerName, typ: unknown): TokenCase => ({
    group: "typ",
    name: `${JSON.stringify(typ)}, of ${who}`,
    headers: bearer(world.token(who, {}, { typ })),
  });
  const never: readonly unknown[] = [
    "id_token+jwt",
    "logout+jwt",
    "secevent+jwt",
    "dpop+jwt",
    "rt+jwt",
    "JOSE",
    "",
    "at+jwt ",
    "xat+jwt",
    "text/at+jwt",
    "application/application/at+jwt",
    null,
    0,
    ["at+jwt"],
  ];
  return [
    ...[...never, "JWT", undefined].flatMap((typ) => [of("own", typ), of("login", typ)]),
    // This one cannot mark its access tokens, but what is marked as something else is still none.
    ...never.map((typ) => of("tenant", typ)),
  ];
}

const people: Record<string, object> = {
  "no subject": { sub: undefined },
  "an empty subject": { sub: "" },
  "a subject that is null": { sub: null },
  "a subject that is a number": { sub: 1 },
  "a subject that is a list": { sub: ["u1"] },
  "a subject with a line break": { sub: "u1\nadmin" },
  "a subject with a NUL": { sub: "u1\u0000" },
  "a subject of 2,000 characters": { sub: "u".repeat(2000) },
  "no client": { client_id: undefined },
  "an empty client": { client_id: "" },
  "a client that is a list": { client_id: ["c1"] },
  "an id that is a number": { jti: 7 },
  "an empty id": { jti: "" },
};

function scopes(world: TokenWorld): TokenCase[] {
  const claims: Record<string, object> = {
    "no scope": { scope: undefined },
    "another scope": { scope: "cart:read" },
    "capital letters": { scope: "CART:WRITE" },
    "a beginning": { scope: "cart" },
    "a longer one": { scope: "cart:writer" },
    "with commas": { scope: "cart:read,cart:write" },
    "with line breaks": { scope: "cart:read\ncart:write" },
    "a pattern": { scope: "cart:* *" },
    "an object": { scope: { "cart:write": true } },
    "a number": { scope: 7 },
    "a list with a number": { scope: ["cart:write", 7] },
    "in another claim": { permissions: ["cart:write"], scope: "" },
  };
  return Object.entries(claims).map(([name, claim]) => ({
    group: "scope",
    name,
    line: "POST /write",
    headers: bearer(world.token("login", claim)),
    status: 403,
    reason: "SCOPE_MISSING",
    challenge: "Bearer insufficient_scope",
  }));
}
