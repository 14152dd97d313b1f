import type { JWK } from "jose";

/**
 * The signature algorithms that can be trusted to anybody: all asymmetric, so that who checks a token cannot make one.
 * HS256 and its kind are left out on purpose: their key would be known to every process that checks, and taking them
 * beside the others is how a public key becomes a secret (RFC 8725, 2.1).
 */
export const algorithms = [
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
] as const;

export type Algorithm = (typeof algorithms)[number];

export function isAlgorithm(value: unknown): value is Algorithm {
  return (algorithms as readonly unknown[]).includes(value);
}

const curves: Readonly<Record<string, readonly Algorithm[]>> = {
  "EC P-256": ["ES256"],
  "EC P-384": ["ES384"],
  "EC P-521": ["ES512"],
  "OKP Ed25519": ["EdDSA", "Ed25519"],
};
const rsaBitsMin = 2048;

/** What a key could be used for by its form alone; nothing for a key that is too short, or of no kind we know. */
export function algorithmsOf(jwk: JWK): readonly Algorithm[] {
  if (jwk.kty !== "RSA") return curves[`${jwk.kty} ${jwk.crv}`] ?? [];
  if (typeof jwk.n !== "string" || Buffer.from(jwk.n, "base64url").length * 8 < rsaBitsMin) return [];
  return ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
}
