import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The mails in the folder about an order, each as its text: those that confirm it, and those that it is on its way. */
export interface Mails {
  readonly order: readonly string[];
  readonly shipping: readonly string[];
}

export async function mailsAbout(orderId: string, folder: string): Promise<Mails> {
  const names = await readdir(folder).catch(() => []);
  const mails = await Promise.all(
    names.filter((name) => name.endsWith(".html")).map((name) => readFile(join(folder, name), "utf8")),
  );
  return {
    order: mails.filter((mail) => mail.includes(`<title>Your order ${orderId}</title>`)),
    shipping: mails.filter((mail) => mail.includes(`<title>Your order ${orderId} is on its way</title>`)),
  };
}
