import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { SignJWT, UnsecuredJWT } from "jose";
import { createManualClock, createSeededRandom, systemClock } from "../base/index.ts";
import { testIdentity } from "./testing.ts";
import { createTokenIssuer } from "./token-issuer.ts";
import type { TokenKeys } from "./token-keys.ts";
import { createTokenKeys, generateTokenSecret } from "./token-keys.ts";
import { TwoGenerations } from "./two-generations.ts";

const who = { issuer: "shop", audience: "shop" };

async function setUp() {
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const clock = createManualClock();
  const issuer = createTokenIssuer({ keys, ...who, clock, random: createSeededRandom(1) });
  const verifier = testIdentity({ name: "shop", keys }, clock);
  return { keys, clock, issuer, verifier };
}

/** A token that is right but for `header` and `claims`. */
function forge(keys: TokenKeys, nowMs: number, header: object = {}, claims: object = {}): Promise<string> {
  const iat = Math.floor(nowMs / 1000);
  const payload = {
    iss: who.issuer,
    aud: who.audience,
    sub: "u1",
    client_id: "c1",
    iat,
    exp: iat + 60,
    scope: "a b",
    jti: "1",
    ...claims,
  };
  return new SignJWT(JSON.parse(JSON.stringify(payload)))
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: keys.signingKeyId, ...header })
    .sign(keys.signingKey);
}

test("what the issuer signs, the verifier reads", async () => {
  const { clock, issuer, verifier } = await setUp();
  const { token, expiresAt } = await issuer.issue({ subject: "u1", scopes: ["cart:write", "x"], ttl: "10m" });
  assert.equal(expiresAt, new Date(Math.floor(clock.wallNow() / 1000) * 1000 + 600_000).toISOString());
  const principal = await verifier.verify(`Bearer ${token}`);
  assert.deepEqual([principal.kind, principal.subject, principal.scopes], ["user", "u1", ["cart:write", "x"]]);
  assert.deepEqual(Object.keys(principal.claims).sort(), ["client_id", "jti"]);
  assert.ok(Object.isFrozen(principal) && Object.isFrozen(principal.scopes) && Object.isFrozen(principal.claims));
  const header = JSON.parse(Buffer.from(token.split(".")[0] as string, "base64url").toString());
  assert.deepEqual([header.alg, header.typ], ["ES256", "at+jwt"]);
  assert.deepEqual((await verifier.verify(`bearer   ${(await issuer.issue({ subject: "u2" })).token}`)).scopes, []);
});

test("a verified token is remembered: for a while, never past its end, and not after forget", async () => {
  const { clock, issuer, verifier } = await setUp();
  const header = `Bearer ${(await issuer.issue({ subject: "u1", ttl: "60s" })).token}`;
  assert.equal(verifier.recall(header), undefined);
  const [first, second] = await Promise.all([verifier.verify(header), verifier.verify(header)]);
  assert.equal(first, second);
  assert.equal(verifier.recall(header), first);
  await clock.advance(59_000);
  assert.equal(verifier.recall(header), first);
  await clock.advance(1500);
  assert.equal(verifier.recall(header), undefined);
  const long = `Bearer ${(await issuer.issue({ subject: "u1", ttl: "1h" })).token}`;
  await verifier.verify(long);
  await clock.advance(299_000);
  assert.notEqual(verifier.recall(long), undefined);
  await clock.advance(2000);
  assert.equal(verifier.recall(long), undefined);
  await verifier.verify(long);
  verifier.forget();
  assert.equal(verifier.recall(long), undefined);
});

test("refuses every token that is not ours, for us, and good now", async () => {
  const { keys, clock, verifier } = await setUp();
  const other = await createTokenKeys({ secret: generateTokenSecret() });
  const now = clock.wallNow();
  const seconds = Math.floor(now / 1000);
  const good = await forge(keys, now);
  const [head, body, signature] = good.split(".") as [string, string, string];
  const hs256 = await new SignJWT({ sub: "u1" })
    .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: keys.signingKeyId })
    .sign(new TextEncoder().encode(JSON.stringify(keys.jwks.keys[0])));
  const rawNone = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url")}.${body}.`;
  const embedded = { jwk: other.jwks.keys[0] };
  const tokens: Readonly<Record<string, string>> = {
    "signed by another key": await forge({ ...other, signingKeyId: keys.signingKeyId }, now),
    "signed by another key that it names": await forge(other, now),
    "with its own key inside": await forge({ ...other, signingKeyId: keys.signingKeyId }, now, embedded),
    "that says where its key is": await forge(keys, now, { jku: "https://evil.example/jwks" }),
    "without kid": await forge(keys, now, { kid: undefined }),
    "of another type": await forge(keys, now, { typ: "JWT" }),
    "without type": await forge(keys, now, { typ: undefined }),
    "with critical extensions": await forge(keys, now, { crit: ["b64"], b64: true }),
    "signed with HS256 by the public key": hs256,
    "with alg none": rawNone,
    "that is unsecured": new UnsecuredJWT({ sub: "u1" }).encode(),
    "that has expired": await forge(keys, now, {}, { iat: seconds - 120, exp: seconds - 60 }),
    "that is not good yet": await forge(keys, now, {}, { nbf: seconds + 60 }),
    "of another issuer": await forge(keys, now, {}, { iss: "evil" }),
    "for another audience": await forge(keys, now, {}, { aud: ["other"] }),
    "without issuer": await forge(keys, now, {}, { iss: undefined }),
    "without audience": await forge(keys, now, {}, { aud: undefined }),
    "without end": await forge(keys, now, {}, { exp: undefined }),
    "without beginning": await forge(keys, now, {}, { iat: undefined }),
    "without client": await forge(keys, now, {}, { client_id: undefined }),
    "made in the future": await forge(keys, now, {}, { iat: seconds + 60, exp: seconds + 120 }),
    "that lives too long": await forge(keys, now, {}, { exp: seconds + 90_000 }),
    "without subject": await forge(keys, now, {}, { sub: undefined }),
    "with an empty subject": await forge(keys, now, {}, { sub: "" }),
    "with another body": `${head}.${Buffer.from('{"sub":"admin"}').toString("base64url")}.${signature}`,
    "with another signature": `${head}.${body}.${signature.replace(/.$/, (c) => (c === "A" ? "Q" : "A"))}`,
    "cut short": `${head}.${body}`,
    "with four parts": `${good}.x`,
    "longer than 8 KiB": await forge(keys, now, {}, { filler: "x".repeat(9000) }),
  };
  for (const [name, token] of Object.entries(tokens)) {
    await assert.rejects(verifier.verify(`Bearer ${token}`), (thrown: { code: string; reason: string }) => {
      assert.equal(thrown.code, "unauthenticated", name);
      assert.equal(thrown.reason, name === "that has expired" ? "TOKEN_EXPIRED" : "TOKEN_INVALID", name);
      return true;
    });
    assert.equal(verifier.recall(`Bearer ${token}`), undefined);
  }
  assert.equal((await verifier.verify(`Bearer ${good}`)).subject, "u1");
});

test("refuses a header that is not Bearer and one token", async () => {
  const { verifier } = await setUp();
  for (const header of ["", "Basic dTpw", "a.b.c", "Bearera.b.c"]) {
    await assert.rejects(verifier.verify(header), { code: "unauthenticated", reason: "SCHEME_UNKNOWN" });
  }
  for (const header of ["Bearer", "Bearer ", "Bearer a b", "Bearer ä.b.c", "Bearer a,b"]) {
    await assert.rejects(verifier.verify(header), { code: "invalid_argument", reason: "AUTHORIZATION_MALFORMED" });
  }
});

test("a key may be PEM or JWK, an old one still verifies, and nothing else is taken", async () => {
  const oldSecret = generateTokenSecret();
  const oldKeys = await createTokenKeys({ secret: oldSecret.replaceAll("\n", "\\n") });
  const jwk = JSON.stringify(createPrivateKey(generateTokenSecret()).export({ format: "jwk" }));
  const keys = await createTokenKeys({ secret: jwk, previous: [oldSecret, jwk] });
  assert.equal(keys.jwks.keys.length, 2);
  assert.ok(keys.jwks.keys.every((key) => key.d === undefined));
  const { token } = await createTokenIssuer({ keys: oldKeys, ...who }).issue({ subject: "u1" });
  assert.equal((await testIdentity({ name: "shop", keys }, systemClock).verify(`Bearer ${token}`)).subject, "u1");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ type: "pkcs8", format: "pem" });
  for (const secret of ["", "s3cret", "{", rsa as string, p384 as string]) {
    await assert.rejects(createTokenKeys({ secret }), (thrown: Error & { reason: string }) => {
      assert.equal(thrown.reason, "TOKEN_KEY_INVALID");
      assert.doesNotMatch(thrown.message, /s3cret|BEGIN/);
      return true;
    });
  }
});

test("the issuer signs nothing senseless", async () => {
  const { issuer } = await setUp();
  for (const token of [
    { subject: "" },
    { subject: "u", ttl: "25h" },
    { subject: "u", ttl: 0 },
    { subject: "u", scopes: ["a b"] },
    { subject: "u", claims: { aud: "another" } },
    { subject: "u", claims: { roles: ["admin"] } },
  ] as const) {
    await assert.rejects(issuer.issue(token as never), { reason: "TOKEN_REQUEST_INVALID" });
  }
});

test("roles and other claims reach the principal", async () => {
  const { issuer, verifier } = await setUp();
  const { token } = await issuer.issue({ subject: "u", roles: ["admin"], claims: { tenant: "acme" } });
  const { claims } = await verifier.verify(`Bearer ${token}`);
  assert.deepEqual([claims.roles, claims.tenant], [["admin"], "acme"]);
});

test("a signature of the DER form is refused", async () => {
  const { keys, clock, verifier } = await setUp();
  const [head, body] = (await forge(keys, clock.wallNow())).split(".");
  const der = sign("sha256", Buffer.from(`${head}.${body}`), keys.signingKey).toString("base64url");
  await assert.rejects(verifier.verify(`Bearer ${head}.${body}.${der}`), { reason: "TOKEN_INVALID" });
});

test("a bounded map keeps what is used and drops what is not", () => {
  const map = new TwoGenerations<number>(10, 1000, createManualClock());
  map.set("hot", 1);
  for (let i = 0; i < 100; i++) {
    map.set(`cold${i}`, i);
    assert.equal(map.get("hot"), 1);
    assert.ok(map.size <= 10);
  }
  assert.equal(map.get("cold0"), undefined);
  map.set("hot", 2);
  assert.equal(map.get("hot"), 2);
});

test("a bounded map that is never full still drops what was not used for long", async () => {
  const clock = createManualClock();
  const map = new TwoGenerations<number>(1000, 1000, clock);
  map.set("hot", 1);
  for (let i = 0; i < 100; i++) {
    await clock.advance(100);
    map.set(`cold${i}`, i);
    assert.equal(map.get("hot"), 1);
    assert.ok(map.size <= 14, `${map.size} are kept, although only ten came in the last second`);
  }
  await clock.advance(5000);
  map.set("next", 1);
  assert.equal(map.size, 1);
});
