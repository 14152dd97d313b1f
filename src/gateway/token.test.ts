import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { SignJWT, UnsecuredJWT } from "jose";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import { ask, request, talk, testGateway } from "./testing.ts";
import { createTokenIssuer } from "./token-issuer.ts";
import type { TokenKeys } from "./token-keys.ts";
import { createTokenKeys, generateTokenSecret } from "./token-keys.ts";
import { createTokenVerifier } from "./token-verifier.ts";

const who = { issuer: "shop", audience: "shop-api" };

async function setUp() {
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const clock = createManualClock();
  const issuer = createTokenIssuer({ keys, ...who, clock, random: createSeededRandom(1) });
  const verifier = createTokenVerifier({ keys, ...who, clock });
  return { keys, clock, issuer, verifier };
}

/** A token that is right but for `header` and `claims`. */
function forge(keys: TokenKeys, nowMs: number, header: object = {}, claims: object = {}): Promise<string> {
  const iat = Math.floor(nowMs / 1000);
  const payload = {
    iss: who.issuer,
    aud: who.audience,
    sub: "u1",
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
  for (const header of ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a b", "Bearer ä.b.c", "a.b.c"]) {
    await assert.rejects(verifier.verify(header), { reason: "AUTHORIZATION_MALFORMED" });
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
  assert.equal((await createTokenVerifier({ keys, ...who }).verify(`Bearer ${token}`)).subject, "u1");
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
  ] as const) {
    await assert.rejects(issuer.issue(token as never), { reason: "TOKEN_REQUEST_INVALID" });
  }
});

test("at the door: who gets in, and what the others are told", async (context) => {
  const { keys, issuer, verifier, clock } = await setUp();
  const subject = t.Object({ subject: t.String() });
  const handle = (_: unknown, call: { principal: { subject: string } }) => ({ subject: call.principal.subject });
  const gateway = testGateway(
    {
      open: { method: method({ http: "GET /open", access: "public", response: subject }), handle },
      known: { method: method({ http: "GET /known", response: subject }), handle },
      write: {
        method: method({ http: "POST /write", access: { scope: ["cart:read", "cart:write"] }, response: subject }),
        handle,
      },
    },
    { verifier, realm: "shop" },
  );
  context.after(() => gateway.stop());
  const { port } = await gateway.start();
  const bearer = async (...scopes: string[]) => ({
    Authorization: `Bearer ${(await issuer.issue({ subject: "u1", scopes })).token}`,
  });
  const expired = { Authorization: `Bearer ${await forge(keys, clock.wallNow() - 600_000)}` };
  const challenge = (rest: string) => `Bearer realm="shop"${rest}`;

  const cases: readonly (readonly [string, Record<string, string>, number, string])[] = [
    ["GET /open", {}, 200, ""],
    ["GET /open", await bearer(), 200, "u1"],
    ["GET /open", expired, 401, challenge(', error="invalid_token"')],
    ["GET /open", { Authorization: "Basic dTpw" }, 401, challenge(', error="invalid_request"')],
    ["GET /known", {}, 401, challenge("")],
    ["GET /known?access_token=x", {}, 401, challenge("")],
    ["GET /known", await bearer(), 200, "u1"],
    ["GET /known", { Authorization: "Bearer nonsense" }, 401, challenge(', error="invalid_token"')],
    ["GET /known", { Authorization: "Bearer" }, 401, challenge(', error="invalid_request"')],
    ["POST /write", await bearer("cart:read", "cart:write"), 200, "u1"],
    [
      "POST /write",
      await bearer("cart:read"),
      403,
      challenge(', error="insufficient_scope", scope="cart:read cart:write"'),
    ],
    ["POST /write", await bearer(), 403, challenge(', error="insufficient_scope", scope="cart:read cart:write"')],
  ];
  for (const [line, headers, status, says] of cases) {
    // Twice: verified anew, and remembered.
    for (const _ of [1, 2]) {
      const answer = await ask(port, request(line, headers));
      assert.equal(answer.status, status, `${line} ${answer.body}`);
      if (status === 200) assert.equal(JSON.parse(answer.body).subject, says);
      else assert.equal(answer.headers["www-authenticate"], says);
      assert.doesNotMatch(answer.body, /jose|JWT|key/i);
    }
  }

  const upload = request("POST /write", {
    Expect: "100-continue",
    "Content-Length": "2",
    "Content-Type": "application/json",
  });
  const { text, answers } = await talk(port, upload);
  assert.equal(answers[0]?.status, 401);
  assert.doesNotMatch(text, /100 Continue/);
});

test("a signature of the DER form is refused", async () => {
  const { keys, clock, verifier } = await setUp();
  const [head, body] = (await forge(keys, clock.wallNow())).split(".");
  const der = sign("sha256", Buffer.from(`${head}.${body}`), keys.signingKey).toString("base64url");
  await assert.rejects(verifier.verify(`Bearer ${head}.${body}.${der}`), { reason: "TOKEN_INVALID" });
});
