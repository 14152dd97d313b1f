import type { KeyObject } from "node:crypto";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { JWK } from "jose";
import { calculateJwkThumbprint } from "jose";
import { wrongIdentity } from "./errors.ts";

/**
 * The app's own key for access tokens: ES256 (ECDSA on P-256) and nothing else, so that no header of a token chooses how
 * it is checked. A key's id is its RFC 7638 thumbprint.
 *
 * To change the key, make a new secret, keep the old one in `previous` for as long as tokens live, then drop it.
 */
export interface TokenKeys {
  readonly signingKeyId: string;
  readonly signingKey: KeyObject;
  /** Public keys by id: the signing key's own and the previous ones'. */
  readonly publicKeys: ReadonlyMap<string, KeyObject>;
  /** The public keys as a JWK Set, for whoever else verifies. */
  readonly jwks: { readonly keys: readonly JWK[] };
}

export interface TokenKeysOptions {
  /** A private P-256 key: PEM (PKCS #8 or SEC 1) or a JWK as JSON text. */
  readonly secret: string;
  /** Older keys that are still good for verifying. */
  readonly previous?: readonly string[];
}

/** Throws StartError TOKEN_KEY_INVALID. The secret never stands in the message. */
export async function createTokenKeys(options: TokenKeysOptions): Promise<TokenKeys> {
  const signingKey = readKey(options.secret, "the token key");
  const keys = [signingKey, ...(options.previous ?? []).map((secret) => readKey(secret, "a previous token key"))];
  const publicKeys = new Map<string, KeyObject>();
  const jwks: JWK[] = [];
  for (const key of keys) {
    const publicKey = createPublicKey(key);
    const jwk = publicKey.export({ format: "jwk" }) as JWK;
    const kid = await calculateJwkThumbprint(jwk);
    if (!publicKeys.has(kid)) jwks.push({ ...jwk, kid, alg: "ES256", use: "sig" });
    publicKeys.set(kid, publicKey);
  }
  return { signingKeyId: jwks[0]?.kid as string, signingKey, publicKeys, jwks: { keys: jwks } };
}

/** A new secret for `createTokenKeys`, as PEM. In development one may be made at each start: tokens then end with the process. */
export function generateTokenSecret(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

function readKey(secret: string, what: string): KeyObject {
  // An environment variable often carries the line breaks of a PEM as "\n".
  const text = secret.trim().replaceAll("\\n", "\n");
  let key: KeyObject;
  try {
    key = text.startsWith("{")
      ? createPrivateKey({ key: JSON.parse(text) as JWK as never, format: "jwk" })
      : createPrivateKey(text);
  } catch {
    throw wrongIdentity(
      "TOKEN_KEY_INVALID",
      `${what}: it is no private key; give PEM or JWK text of a private P-256 key (\`openssl ecparam -genkey -name prime256v1 -noout\` makes one).`,
    );
  }
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw wrongIdentity(
      "TOKEN_KEY_INVALID",
      `${what}: it is no P-256 key; tokens are signed with ES256, which needs one.`,
    );
  }
  return key;
}
