import type { Clock } from "../base/index.ts";
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

/** The least time between two questions for a key that is not known, whatever tokens name; after a failure the shorter one. */
const cooldownMs = 30_000;
const failureCooldownMs = 5000;

/**
 * Keys without a network. A function is asked again when a token names a key that is not known, at most once in
 * `cooldownMs`: for a set that changes while the process runs. When it fails, the set that is known stays; while none is,
 * each token asks again, one at a time, and hears of the failure.
 */
export function localKeySource(keys: LocalKeys, allowed: readonly Algorithm[], clock: Clock): KeySource {
  let known: KeySet | undefined;
  let running: Promise<KeySet> | undefined;
  let nextAt = Number.NEGATIVE_INFINITY;
  const load = async (): Promise<KeySet> => {
    try {
      const found = await importKeys(typeof keys === "function" ? await keys() : keys, allowed);
      const before = known;
      known = found;
      // The first set was asked for by nobody's unknown key.
      if (before) nextAt = clock.now() + cooldownMs;
      if (before && !before.isWithin(found)) source.onKeysGone?.();
      return found;
    } catch (thrown) {
      if (!known) throw thrown;
      nextAt = clock.now() + failureCooldownMs;
      return known;
    }
  };
  const ask = (): Promise<KeySet> => {
    running ??= load().finally(() => {
      running = undefined;
    });
    return running;
  };
  const source: KeySource = {
    onKeysGone: undefined,
    async keyFor({ kid, alg }) {
      const found = (known ?? (await ask())).find(kid, alg);
      if (found || typeof keys !== "function" || kid === undefined) return found;
      if (!running && clock.now() < nextAt) return undefined;
      return (await ask()).find(kid, alg);
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
