import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { generateTokenSecret } from "../gateway/index.ts";

/**
 * The app's own key in development: made once, kept beside the data, readable by its owner alone, so that tokens stay
 * good over a restart. Two processes that start at once agree on one: the file is made exclusively.
 */
export async function developmentTokenKey(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "token-key.pem");
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(generateTokenSecret());
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
  }
  return readFile(file, "utf8");
}
