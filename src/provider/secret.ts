import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";

/**
 * What the provider's secret is for: signing cookies and forms, and sealing the private keys in the database. Each has a
 * key of its own, derived by HKDF (RFC 5869). Several secrets may hold at once: the first is used for what is new, all
 * for what comes back.
 */
export interface ProviderSecret {
  /** What oidc-provider signs its cookies with: HMAC-SHA-256. */
  readonly cookies: {
    sign(data: string): string;
    verify(data: string, digest: string): boolean;
    /** Which secret signed it; -1 for none. */
    index(data: string, digest: string): number;
  };
  /** Binds a form to where it was shown. */
  sign(purpose: string, data: string): string;
  verify(purpose: string, data: string, signature: string): boolean;
  /** AES-256-GCM, bound to `name`. */
  seal(text: string, name: string): string;
  /** Undefined where no secret fits. */
  open(sealed: string, name: string): string | undefined;
}

export const secretLengthMin = 32;

/** Throws StartError PROVIDER_SECRET_WEAK. */
export function createProviderSecret(secrets: readonly string[], random: Random): ProviderSecret {
  if (secrets.length === 0 || secrets.some((secret) => secret.length < secretLengthMin)) {
    throw new StartError(
      "PROVIDER_SECRET_WEAK",
      `PLINTH_PROVIDER_SECRET: each secret has ${secretLengthMin} characters or more (openssl rand -base64 32 makes one); several are separated by spaces.`,
    );
  }
  const keysFor = (purpose: string) =>
    secrets.map((secret) => Buffer.from(hkdfSync("sha256", secret, "", `plinth provider ${purpose}`, 32)));
  const cookieKeys = keysFor("cookies");
  const formKeys = keysFor("forms");
  const sealKeys = keysFor("keys");
  const index = (data: string, digest: string) => cookieKeys.findIndex((key) => equal(mac(key, data), digest));
  const formText = (purpose: string, data: string) => JSON.stringify([purpose, data]);
  return {
    cookies: {
      sign: (data) => mac(cookieKeys[0] as Buffer, data),
      verify: (data, digest) => index(data, digest) >= 0,
      index,
    },
    sign: (purpose, data) => mac(formKeys[0] as Buffer, formText(purpose, data)),
    verify: (purpose, data, signature) => formKeys.some((key) => equal(mac(key, formText(purpose, data)), signature)),
    seal(text, name) {
      const nonce = random.fill(new Uint8Array(nonceBytes));
      const cipher = createCipheriv("aes-256-gcm", sealKeys[0] as Buffer, nonce).setAAD(Buffer.from(name));
      return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]).toString(
        "base64url",
      );
    },
    open(sealed, name) {
      const bytes = Buffer.from(sealed, "base64url");
      for (const key of sealKeys) {
        try {
          const cipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), {
            authTagLength: tagBytes,
          });
          cipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-tagBytes));
          return cipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, "utf8") + cipher.final("utf8");
        } catch {
          // Sealed with another of the secrets.
        }
      }
      return undefined;
    },
  };
}

const nonceBytes = 12;
const tagBytes = 16;

function mac(key: Buffer, data: string): string {
  return createHmac("sha256", key).update(data).digest("base64url");
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
