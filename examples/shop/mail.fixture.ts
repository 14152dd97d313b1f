import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The mails in the folder that have to do with an order, each as its text. */
export async function mailsAbout(orderId: string, folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const mails = await Promise.all(
    names.filter((name) => name.endsWith(".html")).map((name) => readFile(join(folder, name), "utf8")),
  );
  return mails.filter((mail) => mail.includes(orderId));
}

/** Waits until `look` gives something other than undefined and false. Throws what it was waiting for after 30 s. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const endAt = performance.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endAt) throw new Error(`waited 30 s for ${what}`);
    await sleep(25);
  }
}
