import { memoryApiKeys } from "../../identity/testing.ts";
import type { Signer } from "./forge.fixture.ts";
import { compact, hmac, privateJwk, sha256, signer, thumbprint } from "./forge.fixture.ts";
import type { TokenCase, TokenWorld } from "./matrix.fixture.ts";
import { bearer, boundTo, host, ownToken, send } from "./matrix.fixture.ts";

/** Attacks with tokens that are bound to a key, with proofs of that key, and with API keys. */
export async function holderCases(world: TokenWorld): Promise<TokenCase[]> {
  return [...bound(world), ...(await proofs(world)), ...(await keys(world))];
}

/** A stolen token whose key was not stolen. */
function bound(world: TokenWorld): TokenCase[] {
  const jkt = thumbprint(world.client.jwk);
  const x5t = sha256("a certificate");
  const bindings: Record<string, unknown> = {
    "a DPoP key": { jkt },
    "a certificate": { "x5t#S256": x5t },
    both: { jkt, "x5t#S256": x5t },
    "a key inside": { jwk: world.client.jwk },
    "the id of a key": { kid: "client" },
    "a key elsewhere": { jku: "https://evil.example/jwks" },
    "something unknown": { osc: "x" },
    nothing: {},
    null: null,
    "a text": jkt,
    "a list": [jkt],
    "a short thumbprint": { jkt: "abc" },
    "a thumbprint that is no text": { jkt: 7 },
  };
  return (["own", "login"] as const).flatMap((of) =>
    Object.entries(bindings).map(([name, cnf]) => ({
      group: "bound token as bearer",
      name: `bound to ${name}, of ${of}`,
      headers: bearer(world.token(of, { cnf })),
    })),
  );
}

async function proofs(world: TokenWorld): Promise<TokenCase[]> {
  const { client, now } = world;
  const token = boundTo(world);
  const stranger = signer("P-256", "stranger", "ES256");
  const rsa = world.login;
  const group = "DPoP misuse";
  const bad = { reason: "PROOF_INVALID", challenge: "DPoP invalid_dpop_proof" };
  const notBound = { challenge: "DPoP invalid_token" };
  const shows = (DPoP: string, with_ = token) => ({ headers: { Authorization: `DPoP ${with_}`, DPoP } });
  const claims = (changes: object) => ({ group, ...shows(world.proof(token, changes)), ...bad });
  const header = (changes: object, by?: Signer) => ({ group, ...shows(world.proof(token, {}, changes, by)), ...bad });
  const { kid: _kid, alg: _alg, use: _use, ...jwk } = client.jwk;
  const payload = { jti: "x", htm: "GET", htu: `http://${host}/known`, iat: now, ath: sha256(token) };
  const address = `http://${host}`;
  const replayed = world.proof(token, { jti: "once" });
  await send(world, { ...shows(replayed) });
  const accepted = await send(world, { ...shows(world.proof(token)) });
  if (accepted.status !== 200) throw new Error(`a good proof was refused: ${accepted.body}`);
  const good = world.proof(token);
  return [
    { group, name: "no proof", headers: { Authorization: `DPoP ${token}` }, ...bad },
    { group, name: "an empty proof", ...shows(""), ...bad },
    {
      group,
      name: "two proofs",
      headers: { Authorization: `DPoP ${token}`, DPoP: good, "DPoP#2": world.proof(token) },
      ...bad,
    },
    { group, name: "two proofs in one header", ...shows(`${good}, ${world.proof(token)}`), ...bad },
    { group, name: "the token as its proof", ...shows(token), ...bad },
    { group, name: "a proof as the token", ...shows(good, good), ...notBound },
    { group, name: "a word as the proof", ...shows("proof"), ...bad },
    { name: "of another method", ...claims({ htm: "POST" }) },
    { name: "of a method in small letters", ...claims({ htm: "get" }) },
    { name: "without method", ...claims({ htm: undefined }) },
    { name: "of another path", ...claims({ htu: `${address}/write` }) },
    { name: "of a longer path", ...claims({ htu: `${address}/known/` }) },
    { name: "of another host", ...claims({ htu: "http://evil.example/known" }) },
    { name: "of another port", ...claims({ htu: `${address}:8080/known` }) },
    { name: "of another scheme", ...claims({ htu: `https://${host}/known` }) },
    { name: "of a path alone", ...claims({ htu: "/known" }) },
    { name: "of an address in a list", ...claims({ htu: [`${address}/known`] }) },
    { name: "without address", ...claims({ htu: undefined }) },
    { name: "of another token", ...claims({ ath: sha256("another") }) },
    { name: "of no token", ...claims({ ath: undefined }) },
    { name: "of the token itself", ...claims({ ath: token.slice(0, 40) }) },
    { name: "made two minutes ago", ...claims({ iat: now - 120 }) },
    { name: "made in a minute", ...claims({ iat: now + 60 }) },
    { name: "made in milliseconds", ...claims({ iat: now * 1000 }) },
    { name: "without time", ...claims({ iat: undefined }) },
    { name: "whose time is a text", ...claims({ iat: String(now) }) },
    { name: "without id", ...claims({ jti: undefined }) },
    { name: "with an empty id", ...claims({ jti: "" }) },
    { name: "with an id that is a number", ...claims({ jti: 7 }) },
    { name: "with an id of 300 characters", ...claims({ jti: "x".repeat(300) }) },
    { name: "of type JWT", ...header({ typ: "JWT" }) },
    { name: "of type at+jwt", ...header({ typ: "at+jwt" }) },
    { name: "without type", ...header({ typ: undefined }) },
    { name: "with alg none", ...header({ alg: "none" }) },
    {
      name: "with alg HS256",
      group,
      ...shows(hmac({ typ: "dpop+jwt", alg: "HS256", jwk }, payload, JSON.stringify(jwk))),
      ...bad,
    },
    { name: "with a shared secret as its key", ...header({ alg: "ES256", jwk: { kty: "oct", k: "c2VjcmV0" } }) },
    { name: "without key", ...header({ jwk: undefined }) },
    { name: "with a key that is null", ...header({ jwk: null }) },
    { name: "with a private key", ...header({ jwk: privateJwk(client.key) }) },
    { name: "with another key", ...header({}, stranger) },
    { name: "with the right key, signed by another", ...header({ jwk }, stranger) },
    { name: "with an RSA key where none are taken", ...header({}, rsa) },
    { name: "with a key elsewhere", ...header({ jku: "https://evil.example/jwks" }) },
    { name: "with a certificate elsewhere", ...header({ x5u: "https://evil.example/chain" }) },
    { name: "with critical extensions", ...header({ crit: ["exp"] }) },
    { name: "with a key of another curve", ...header({ jwk: { ...jwk, crv: "P-384" } }) },
    { name: "with a point that is on no curve", ...header({ jwk: { ...jwk, y: jwk.x } }) },
    {
      group,
      name: "with an id twice",
      ...shows(
        compact(
          `{"typ":"dpop+jwt","alg":"ES256","jwk":${JSON.stringify(jwk)}}`,
          `{"jti":"1",${JSON.stringify(payload).slice(1)}`,
          client,
        ),
      ),
      ...bad,
    },
    { group, name: "of 5,000 characters", ...shows(world.proof(token, { filler: "x".repeat(3600) })), ...bad },
    {
      group,
      name: "a token that is bound to nothing",
      ...shows(world.proof(await ownToken(world)), await ownToken(world)),
      ...notBound,
    },
    {
      group,
      name: "a token that is bound to a certificate",
      ...shows(good, world.token("login", { cnf: { "x5t#S256": sha256("c") } })),
      ...notBound,
    },
    {
      group,
      name: "a token that has expired",
      ...shows(good, world.token("login", { cnf: { jkt: thumbprint(jwk) }, exp: now - 60 })),
      reason: "TOKEN_EXPIRED",
      ...notBound,
    },
    {
      group,
      name: "the scheme alone",
      headers: { Authorization: "DPoP", DPoP: good },
      status: 400,
      reason: "AUTHORIZATION_MALFORMED",
      challenge: "DPoP invalid_request",
    },
    { group: "replay", name: "a proof that was used", ...shows(replayed), ...bad },
    { group: "replay", name: "its id in another proof", ...shows(world.proof(token, { jti: "once" })), ...bad },
    { group: "replay", name: "a proof for another token of the key", headers: otherToken(world), ...bad },
    { group: "replay", name: "a proof of GET, for POST", line: "POST /write", ...shows(world.proof(token)), ...bad },
    {
      group: "replay",
      name: "a proof with a query in its address, used",
      ...(await used(world, token, shows)),
      ...bad,
    },
    {
      group: "replay",
      name: "a bound token, with its proof, as a bearer token",
      headers: { Authorization: `Bearer ${token}`, DPoP: world.proof(token) },
    },
  ];
}

/** A proof for one token, shown with another one that is bound to the same key. */
function otherToken(world: TokenWorld): Record<string, string> {
  const other = world.token("login", { cnf: { jkt: thumbprint(world.client.jwk) }, jti: "another" });
  return { Authorization: `DPoP ${other}`, DPoP: world.proof(boundTo(world)) };
}

async function used(world: TokenWorld, token: string, shows: (proof: string) => Pick<TokenCase, "headers">) {
  const proof = shows(world.proof(token, { htu: `http://${host}/known?a=1#b` }));
  const answer = await send(world, proof);
  if (answer.status !== 200) throw new Error(`a query is no part of an address: ${answer.body}`);
  return proof;
}

async function keys(world: TokenWorld): Promise<TokenCase[]> {
  const group = "API key misuse";
  const { apiKeys } = world;
  const now = world.clock.wallNow();
  const good = apiKeys.make();
  const accepted = await send(world, { headers: { "X-API-Key": good } });
  if (accepted.status !== 200) throw new Error(`a good key was refused: ${accepted.body}`);
  const other = apiKeys.make();
  const [prefix, id, secret] = good.split("_") as [string, string, string];
  const bad = { reason: "API_KEY_INVALID", challenge: "ApiKey invalid_token" };
  const ambiguous = { status: 400, reason: "CREDENTIALS_AMBIGUOUS" };
  const shown: Record<string, string> = {
    "that nobody made": memoryApiKeys().make(),
    "that was taken back": apiKeys.make({ revokedAt: now - 1 }),
    "that has ended": apiKeys.make({ expiresAt: now }),
    "whose hash is another's": apiKeys.make({ hash: sha256(other) }),
    "with another's secret": `${prefix}_${id}_${other.split("_")[2]}`,
    "with another's id": `${prefix}_${other.split("_")[1]}_${secret}`,
    "with a typing error": good.replace(/.(?=.{20}$)/, (c) => (c === "x" ? "y" : "x")),
    "with another checksum": `${good.slice(0, -6)}000000`,
    "without checksum": good.slice(0, -6),
    "that is cut": good.slice(0, -1),
    "that is longer": `${good}A`,
    "in small letters": good.toLowerCase(),
    "in capital letters": good.toUpperCase(),
    "with another prefix": good.replace("plk", "abc"),
    "without prefix": good.slice(4),
    "with blanks inside": good.replaceAll("_", " "),
    "of SQL": "' or 1=1 --",
    "that is empty": "",
    "that is a pattern": "plk_%_%",
    "of 5,000 characters": `plk_${"A".repeat(5000)}`,
    "that is a token": await ownToken(world),
    "that is its own hash": sha256(good),
    "that is its id": id,
  };
  return [
    ...Object.entries(shown).map(([name, key]) => ({
      group,
      name: `a key ${name}`,
      headers: { "X-API-Key": key },
      ...bad,
    })),
    { group, name: "two keys", headers: { "X-API-Key": good, "X-API-Key#2": other }, ...bad },
    { group, name: "a bad key in Authorization", headers: { Authorization: `ApiKey ${good}x` }, ...bad },
    { group, name: "a key as a bearer token", headers: bearer(good) },
    {
      group,
      name: "a key as a DPoP token",
      headers: { Authorization: `DPoP ${good}` },
      challenge: "DPoP invalid_token",
    },
    {
      group,
      name: "a key and a token",
      headers: { "X-API-Key": good, ...bearer(await ownToken(world)) },
      ...ambiguous,
      challenge: "Bearer invalid_request",
    },
    {
      group,
      name: "a key and another key in Authorization",
      headers: { "X-API-Key": good, Authorization: `ApiKey ${other}` },
      ...ambiguous,
      challenge: "ApiKey invalid_request",
    },
    {
      group,
      name: "a key as a password",
      headers: { Authorization: `Basic ${Buffer.from(`u:${good}`).toString("base64")}` },
      reason: "SCHEME_UNKNOWN",
      challenge: "-",
    },
    {
      group,
      name: "a key in the query alone",
      line: `GET /known?api_key=${good}`,
      headers: {},
      reason: "TOKEN_MISSING",
      challenge: "-",
    },
    {
      group,
      name: "a key in a cookie alone",
      headers: { Cookie: `X-API-Key=${good}` },
      reason: "TOKEN_MISSING",
      challenge: "-",
    },
    {
      group,
      name: "the scheme alone",
      headers: { Authorization: "ApiKey" },
      status: 400,
      reason: "AUTHORIZATION_MALFORMED",
      challenge: "ApiKey invalid_request",
    },
    {
      group,
      name: "two keys in Authorization",
      headers: { Authorization: `ApiKey ${good} ${other}` },
      status: 400,
      reason: "AUTHORIZATION_MALFORMED",
      challenge: "ApiKey invalid_request",
    },
    {
      group,
      name: "a key without the scope",
      line: "POST /write",
      headers: { "X-API-Key": good },
      status: 403,
      reason: "SCOPE_MISSING",
      challenge: "ApiKey insufficient_scope",
    },
  ];
}
