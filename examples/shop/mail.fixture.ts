import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The mails in the folder that have to do with an order, each as its text. */
export async function mailsAbout(orderId: string, folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const mails = await Promise.all(
    names.filter((name) => name.endsWith(".html")).map((name) => readFile(join(folder, name), "utf8")),
  );
  return mails.filter((mail) => mail.includes(orderId));
}
