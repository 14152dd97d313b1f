import { sign } from "node:crypto";
import type { Signer } from "./forge.fixture.ts";
import { b64, compact, hmac, part, privateJwk, signature, signer } from "./forge.fixture.ts";
import type { IssuerName, TokenCase, TokenWorld } from "./matrix.fixture.ts";
import { bearer, urls } from "./matrix.fixture.ts";

const names: readonly IssuerName[] = ["own", "login", "tenant"];

/** Attacks on which key is used, and how. */
export function keyCases(world: TokenWorld): TokenCase[] {
  return [
    ...confusion(world),
    ...unsigned(world),
    ...keyIds(world),
    ...embedded(world),
    ...critical(world),
    ...mismatches(world),
    ...signatures(world),
  ];
}

/** A public key, in every form that somebody could take for a shared secret. */
function confusion(world: TokenWorld): TokenCase[] {
  const secretsOf = ({ key, jwk, kid }: Signer): Record<string, string | Uint8Array> => {
    const { kid: _kid, alg: _alg, use: _use, ...bare } = jwk;
    return {
      "the empty text": "",
      "its id": kid,
      "its JWK": JSON.stringify(jwk),
      "its bare JWK": JSON.stringify(bare),
      "its JWK Set": JSON.stringify({ keys: [jwk] }),
      "its number": Buffer.from(String(jwk.n ?? jwk.x), "base64url"),
      "its number's text": String(jwk.n ?? jwk.x),
      "its private text": key.export({ type: "pkcs8", format: "pem" }),
    };
  };
  return names.flatMap((of) =>
    Object.entries(secretsOf(world[of])).flatMap(([what, secret]) =>
      ["HS256", "HS384", "HS512"].map((alg) => ({
        group: "algorithm confusion",
        name: `${alg} with ${what} as the secret, for ${of}`,
        headers: bearer(hmac(world.header(of, { alg }), world.payload(of), secret)),
      })),
    ),
  );
}

function unsigned(world: TokenWorld): TokenCase[] {
  const algs: readonly unknown[] = ["none", "None", "NONE", "nOnE", "none ", "", null, 0, false, ["none"], undefined];
  return algs.flatMap((alg) => {
    const body = `${part(world.header("own", { alg }))}.${part(world.payload("own"))}`;
    const good = b64(signature(body, "ES256", world.own.key));
    return [
      { group: "none", name: `alg ${JSON.stringify(alg)}, no signature`, headers: bearer(`${body}.`) },
      {
        group: "none",
        name: `alg ${JSON.stringify(alg)}, a signature that is right`,
        headers: bearer(`${body}.${good}`),
      },
      { group: "none", name: `alg ${JSON.stringify(alg)}, two bytes for a signature`, headers: bearer(`${body}.AAA`) },
    ];
  });
}

function keyIds(world: TokenWorld): TokenCase[] {
  const ids: readonly unknown[] = [
    undefined,
    null,
    "",
    0,
    ["key"],
    { kid: "key" },
    "nobody",
    "../../../../../dev/null",
    "file:///dev/null",
    "https://evil.example/key",
    "' OR 1=1 --",
    "x' UNION SELECT 'secret' --",
    "| id",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "key\u0000",
    "rsa-1\n",
    " rsa-1",
    "RSA-1",
    "k".repeat(257),
  ];
  return names.flatMap((of) =>
    ids
      .filter((kid) => kid !== undefined || of === "own")
      .map((kid) => ({
        group: "kid tricks",
        name: `kid ${JSON.stringify(kid)?.slice(0, 40)}, signed by ${of} itself`,
        headers: bearer(world.token(of, {}, { kid })),
      })),
  );
}

/** Tokens that bring their key, or say where it is. Signed by the attacker, and by the issuer itself too: the header alone is enough. */
function embedded(world: TokenWorld): TokenCase[] {
  return names.flatMap((of) => {
    const evil = world.evil[of];
    const brought: Record<string, object> = {
      jwk: { jwk: evil.jwk },
      "jwk of its own": { jwk: world[of].jwk },
      jku: { jku: "https://evil.example/jwks" },
      "jku at home": { jku: `${urls.login}/jwks` },
      "jku on this machine": { jku: "http://127.0.0.1:1/jwks" },
      "jku of a cloud": { jku: "http://169.254.169.254/latest/meta-data" },
      x5u: { x5u: "https://evil.example/chain.pem" },
      x5c: { x5c: [b64("no certificate")] },
    };
    return Object.entries(brought).flatMap(([what, header]) => [
      {
        group: "embedded keys",
        name: `${what}, signed by another, for ${of}`,
        headers: bearer(compact(world.header(of, header), world.payload(of), evil)),
      },
      {
        group: "embedded keys",
        name: `${what}, signed by ${of} itself`,
        headers: bearer(world.token(of, {}, header)),
      },
    ]);
  });
}

function critical(world: TokenWorld): TokenCase[] {
  const headers: readonly object[] = [
    { crit: [] },
    { crit: ["exp"] },
    { crit: ["exp"], exp: world.now + 60 },
    { crit: ["b64"], b64: true },
    { crit: ["b64"], b64: false },
    { crit: ["alg"] },
    { crit: "exp" },
    { crit: null },
    { crit: ["http://example.invalid/UNDEFINED"], "http://example.invalid/UNDEFINED": true },
    { b64: false },
    { b64: true },
    { zip: "DEF" },
    { enc: "A256GCM" },
    { p2c: 1_000_000_000, p2s: "AAAA" },
    { epk: { kty: "EC" } },
  ];
  return (["own", "login"] as const).flatMap((of) =>
    headers.map((header) => ({
      group: "crit and other extensions",
      name: `${JSON.stringify(header)}, signed by ${of} itself`,
      headers: bearer(world.token(of, {}, header)),
    })),
  );
}

/** Keys used for what they are not. */
function mismatches(world: TokenWorld): TokenCase[] {
  const by = (of: IssuerName, alg: string, key: Signer["key"], kid = world[of].kid) =>
    bearer(compact(world.header(of, { alg, kid }), world.payload(of), { alg, key }));
  const { own, login, tenant } = world;
  const group = "key type mismatch";
  const rsa = login.key;
  const sized = (["P-384", "P-521", "secp256k1"] as const).map((curve) => signer(curve, curve, "ES256"));
  return [
    ...["RS384", "RS512", "PS256", "PS384", "PS512"].map((alg) => ({
      group,
      name: `${alg} by the key that is pinned to RS256`,
      headers: by("login", alg, rsa),
    })),
    ...["ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "RS256"].map((alg) => ({
      group,
      name: `${alg} in the header of a token of the app itself`,
      headers: bearer(compact(world.header("own", { alg }), world.payload("own"), own)),
    })),
    { group, name: "ES256 for the issuer of RS256", headers: by("login", "ES256", own.key, own.kid) },
    { group, name: "ES256 by the id of an RSA key", headers: by("login", "ES256", own.key) },
    {
      group,
      name: "RS256 bytes under ES256",
      headers: bearer(compact(world.header("own"), world.payload("own"), login)),
    },
    {
      group,
      name: "ES256 bytes under RS256",
      headers: bearer(compact(world.header("login"), world.payload("login"), own)),
    },
    {
      group,
      name: "EdDSA bytes under ES256",
      headers: bearer(compact(world.header("own"), world.payload("own"), tenant)),
    },
    {
      group,
      name: "PS256 bytes under RS256",
      headers: bearer(compact(world.header("login"), world.payload("login"), { alg: "PS256", key: rsa })),
    },
    { group, name: "Ed25519 by name where EdDSA is pinned", headers: by("tenant", "Ed25519", tenant.key) },
    ...sized.map(({ kid, key }) => ({
      group,
      name: `ES256 by a key on ${kid}`,
      headers: by("own", "ES256", key),
    })),
    {
      group,
      name: "RS256 by a key of 1024 bits",
      headers: by("login", "RS256", signer("RSA-1024", "short", "RS256").key),
    },
    ...names.map((of) => ({
      group,
      name: `signed by another, with the right id, for ${of}`,
      headers: bearer(compact(world.header(of), world.payload(of), world.evil[of])),
    })),
    ...names.flatMap((of) =>
      names
        .filter((other) => other !== of)
        .map((other) => ({
          group,
          name: `says ${of}, signed by ${other} with its own id and alg`,
          headers: bearer(compact(world.header(other), world.payload(of), world[other])),
        })),
    ),
    {
      group,
      name: "a private key as a token",
      headers: bearer(`${part({ alg: "ES256" })}.${part(privateJwk(world.evil.own.key))}.AAAA`),
    },
  ];
}

const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");

function signatures(world: TokenWorld): TokenCase[] {
  const text = `${part(world.header("own"))}.${part(world.payload("own"))}`;
  const good = signature(text, "ES256", world.own.key);
  const zero = Buffer.alloc(32);
  const [r, s] = [good.subarray(0, 32), good.subarray(32)];
  const flipped = Buffer.from(good);
  flipped.writeUInt8((flipped[0] as number) ^ 1, 0);
  const der = sign("sha256", Buffer.from(text), world.own.key);
  const other = signature(
    `${part(world.header("own"))}.${part(world.payload("own", { sub: "u2" }))}`,
    "ES256",
    world.own.key,
  );
  const signed: Record<string, Uint8Array> = {
    "one bit flipped": flipped,
    "in DER": der,
    "all zeros": Buffer.alloc(64),
    "r is zero": Buffer.concat([zero, s]),
    "s is zero": Buffer.concat([r, zero]),
    "r is the order": Buffer.concat([order, s]),
    "s is the order": Buffer.concat([r, order]),
    "both are the order": Buffer.concat([order, order]),
    "r and s changed round": Buffer.concat([s, r]),
    "one byte short": good.subarray(0, 63),
    "one byte more": Buffer.concat([good, Buffer.from([0])]),
    "a zero in front": Buffer.concat([Buffer.from([0]), good]),
    twice: Buffer.concat([good, good]),
    "half of it": r,
    "one byte": Buffer.from([0]),
    "of another token": other,
    "of the payload alone": signature(part(world.payload("own")), "ES256", world.own.key),
    "of the parts without their dot": signature(text.replace(".", ""), "ES256", world.own.key),
    "by SHA-512": sign("sha512", Buffer.from(text), { key: world.own.key, dsaEncoding: "ieee-p1363" }),
  };
  const rsaText = `${part(world.header("login"))}.${part(world.payload("login"))}`;
  const rsa = signature(rsaText, "RS256", world.login.key);
  const rsaSigned: Record<string, Uint8Array> = {
    "all zeros": Buffer.alloc(256),
    "all ones": Buffer.alloc(256, 255),
    "one: it is its own power": Buffer.concat([Buffer.alloc(255), Buffer.from([1])]),
    "a zero in front": Buffer.concat([Buffer.from([0]), rsa]),
    "a byte short": rsa.subarray(1),
    "by SHA-1": sign("sha1", Buffer.from(rsaText), world.login.key),
    "by SHA-512": sign("sha512", Buffer.from(rsaText), world.login.key),
  };
  const group = "signatures";
  return [
    ...Object.entries(signed).map(([name, bytes]) => ({
      group,
      name: `ECDSA: ${name}`,
      headers: bearer(`${text}.${b64(bytes)}`),
    })),
    ...Object.entries(rsaSigned).map(([name, bytes]) => ({
      group,
      name: `RSA: ${name}`,
      headers: bearer(`${rsaText}.${b64(bytes)}`),
    })),
  ];
}
