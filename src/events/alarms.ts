import type { Clock } from "../base/index.ts";

/** Says of each thing once a minute that it happened, and how often it did without being told. */
export interface Alarms {
  /** How many were not told since the last; undefined when this one is not to be told either. */
  raise(name: string): number | undefined;
}

const everyMs = 60_000;
/** Above this many things the oldest are forgotten, and told again. */
const namesMax = 1000;

export function createAlarms(clock: Clock): Alarms {
  const told = new Map<string, { readonly at: number; untold: number }>();
  return {
    raise(name) {
      const last = told.get(name);
      if (last && clock.now() - last.at < everyMs) {
        last.untold++;
        return undefined;
      }
      told.delete(name);
      told.set(name, { at: clock.now(), untold: 0 });
      for (const oldest of told.keys()) {
        if (told.size <= namesMax) break;
        told.delete(oldest);
      }
      return last?.untold ?? 0;
    },
  };
}
