import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `look` gives something other than undefined and false. Throws what it was waiting for after 60 s. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const endAt = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endAt) throw new Error(`waited 60 s for ${what}`);
    await sleep(25);
  }
}
