import type { Algorithm } from "./algorithm.ts";
import type { CompactHeader } from "./compact-token.ts";
import { TokenFault } from "./errors.ts";
import type { Jwks, KeySet, SigningKey } from "./key-set.ts";
import { importKeys } from "./key-set.ts";

/** Where the keys of one issuer come from. */
export interface KeySource {
  /**
   * The key that a token names, by itself alone: whatever else the header says is not followed. Undefined: the issuer has
   * no such key. Rejects with ISSUER_UNAVAILABLE when nobody can know.
   */
  keyFor(header: CompactHeader): Promise<SigningKey | undefined>;
  /** Called when a key is gone or has changed: what was verified with it is not to be believed any longer. */
  onKeysGone: (() => void) | undefined;
}

/** Keys that live in this process, such as those of the app itself or of the embedded identity provider. */
export type LocalKeys = Jwks | (() => Jwks | Promise<Jwks>);

/**
 * Keys without a network. A function is asked again when a token names a key that is not known: for a set that changes
 * while the process runs.
 */
export function localKeySource(keys: LocalKeys, allowed: readonly Algorithm[]): KeySource {
  let known: Promise<KeySet> | undefined;
  const load = async (): Promise<KeySet> => importKeys(typeof keys === "function" ? await keys() : keys, allowed);
  const source: KeySource = {
    onKeysGone: undefined,
    async keyFor({ kid, alg }) {
      known ??= load();
      const before = await known;
      const found = before.find(kid, alg);
      if (found || typeof keys !== "function" || kid === undefined) return found;
      known = load();
      const after = await known;
      if (!before.isWithin(after)) source.onKeysGone?.();
      return after.find(kid, alg);
    },
  };
  return source;
}

/** Checks that a document is a JWK Set. Throws TokenFault. */
export function toJwks(document: unknown): Jwks {
  const keys = typeof document === "object" && document !== null && "keys" in document ? document.keys : undefined;
  if (!Array.isArray(keys)) throw new TokenFault('no JWK Set: it has no list "keys"');
  return { keys };
}
