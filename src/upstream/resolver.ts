import { lookup } from "node:dns/promises";
import type { Clock, Random } from "../base/index.ts";

/** The IP addresses of a name. Rejects when there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/**
 * By the system (`/etc/hosts`, DNS). Where a name has addresses of both families, IPv4 is taken: each address is a target of
 * its own, and the same instance under two of them would count twice.
 */
export const systemResolve: Resolve = async (name) => {
  const found = await lookup(name, { all: true });
  const four = found.filter(({ family }) => family === 4);
  return (four.length > 0 ? four : found).map(({ address }) => address);
};

/** More addresses than this are left out: of one name, in the order of their text. */
const addressesMax = 256;

export interface ResolverOptions {
  readonly name: string;
  readonly everyMs: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly resolve: Resolve;
  /** When they have changed. Sorted. */
  readonly onChange: (addresses: readonly string[]) => void;
  readonly onLookup: (ok: boolean, cause: unknown) => void;
}

export interface Resolver {
  /** Resolves after the first lookup, whatever its result, and goes on. */
  start(): Promise<void>;
  stop(): void;
}

/** While names cannot be looked up, the last addresses stay: a sick name server must not take the service down. */
export function createResolver(options: ResolverOptions): Resolver {
  const { clock, random, everyMs } = options;
  let isStopped = false;
  let cancelTimer = (): void => {};
  let last = "";

  const look = async (): Promise<void> => {
    try {
      const found = [...new Set(await options.resolve(options.name))].sort().slice(0, addressesMax);
      if (isStopped) return;
      options.onLookup(true, undefined);
      if (found.length > 0 && found.join() !== last) {
        last = found.join();
        options.onChange(found);
      }
    } catch (cause) {
      if (!isStopped) options.onLookup(false, cause);
    }
  };
  const again = (): void => {
    if (isStopped) return;
    // Not all processes ask at once.
    cancelTimer = clock.after(everyMs() * (0.9 + 0.2 * random.next()), () => void look().then(again));
  };
  return {
    start: () => look().then(again),
    stop() {
      isStopped = true;
      cancelTimer();
    },
  };
}
