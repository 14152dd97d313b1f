import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { newId } from "../base/index.ts";

/**
 * A secret of development: made once, kept beside the data, readable by its owner alone, so that what it signed stays good
 * over a restart. Processes that start at once agree on one: each writes its own, whole and synced, under a name of its
 * own, and the first to link it under the secret's name has made it.
 */
export async function keptSecret(folder: string, name: string, make: () => string): Promise<string> {
  const file = join(folder, name);
  const known = await readIfThere(file);
  if (known !== undefined) return known;
  await mkdir(folder, { recursive: true });
  await keep(file, join(folder, `${name}-${newId()}.tmp`), make());
  return readFile(file, "utf8");
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

async function keep(file: string, own: string, text: string): Promise<void> {
  try {
    const handle = await open(own, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(own, file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
  } finally {
    await rm(own, { force: true });
  }
}
