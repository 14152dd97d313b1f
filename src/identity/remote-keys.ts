import type { Clock } from "../base/index.ts";
import { createTimeLimit } from "../resilience/index.ts";
import type { Algorithm } from "./algorithm.ts";
import { issuerUnavailable } from "./errors.ts";
import type { Jwks, KeySet } from "./key-set.ts";
import { importKeys } from "./key-set.ts";
import type { KeySource } from "./key-source.ts";

export interface RemoteKeysOptions {
  /** Fetches the set: bounded in time and size by whoever gives it. */
  readonly load: () => Promise<Jwks>;
  readonly algorithms: readonly Algorithm[];
  readonly clock: Clock;
  /** How old a set may be before it is fetched anew, behind the requests that use it. Default 10 min. */
  readonly ttlMs?: number;
  /** The least time between two fetches, whatever tokens name. Default 30 s; after a failure 5 s. */
  readonly cooldownMs?: number;
  /** How long a set is used beyond `ttlMs` that cannot be fetched anew. Default 24 h. */
  readonly staleMs?: number;
  /** Told of each fetch. */
  readonly onFetch?: (outcome: RemoteKeysFetch) => void;
}

export interface RemoteKeysFetch {
  readonly keyCount: number;
  /** Keys that were left out, and why. */
  readonly refused: readonly string[];
  readonly error: unknown;
}

const failureCooldownMs = 5000;
/** For metadata and keys together: so long a request waits for them at most. */
const fetchMsMax = 8000;

/**
 * The keys of an issuer elsewhere.
 *
 * - One fetch at a time; who needs it meanwhile waits for it.
 * - An unknown `kid` fetches the set anew, at most once in `cooldownMs`: a stream of made-up ids costs the issuer nothing.
 * - A set that is older than `ttlMs` is fetched behind the requests that use it.
 * - While the issuer is down, what is known is used for `staleMs` beyond that; then, and as long as nothing was ever loaded, its tokens
 *   are answered with 503. Nothing that fails ever lets a token through.
 */
export function remoteKeySource(options: RemoteKeysOptions): KeySource {
  const { clock, ttlMs = 600_000, cooldownMs = 30_000, staleMs = 86_400_000 } = options;
  const limit = createTimeLimit({ name: "the issuer", limit: fetchMsMax, clock });
  let known: KeySet | undefined;
  let loadedAt = 0;
  let nextAt = Number.NEGATIVE_INFINITY;
  let lastError: unknown;
  let running: Promise<void> | undefined;

  const fetch = async (): Promise<void> => {
    try {
      const found = await importKeys(await limit(options.load()), options.algorithms);
      options.onFetch?.({ keyCount: found.size, refused: found.refused, error: undefined });
      const before = known;
      known = found;
      loadedAt = clock.now();
      nextAt = loadedAt + cooldownMs;
      lastError = undefined;
      if (before && !before.isWithin(found)) source.onKeysGone?.();
    } catch (thrown) {
      lastError = thrown;
      nextAt = clock.now() + Math.min(failureCooldownMs, cooldownMs);
      options.onFetch?.({ keyCount: 0, refused: [], error: thrown });
    } finally {
      running = undefined;
    }
  };
  /** The fetch that runs, or a new one where the time for it has come. */
  const refresh = (): Promise<void> | undefined => {
    if (!running && clock.now() >= nextAt) running = fetch();
    return running;
  };
  const usable = (): KeySet | undefined => (known && clock.now() - loadedAt < ttlMs + staleMs ? known : undefined);

  const source: KeySource = {
    onKeysGone: undefined,
    async keyFor({ kid, alg }) {
      let keys = usable();
      if (!keys) {
        await refresh();
        keys = usable();
        if (!keys) throw issuerUnavailable(nextAt - clock.now(), lastError);
      } else if (clock.now() - loadedAt >= ttlMs) void refresh();
      const found = keys.find(kid, alg);
      if (found || kid === undefined) return found;
      await refresh();
      return usable()?.find(kid, alg);
    },
  };
  return source;
}
