import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { newId, StartError } from "../base/index.ts";
import { generateTokenSecret } from "../identity/index.ts";
import type { Settings } from "./settings.ts";

/** The app's own key, as text: what is set, or in development the one beside the data. StartError TOKEN_KEY_MISSING. */
export async function tokenSecretOf(settings: Pick<Settings, "tokenKey" | "mode" | "dataFolder">): Promise<string> {
  if (settings.tokenKey !== undefined) return settings.tokenKey;
  if (settings.mode !== "production") return developmentTokenKey(settings.dataFolder);
  throw new StartError(
    "TOKEN_KEY_MISSING",
    "PLINTH_TOKEN_KEY: it is not set, so no token can be signed or checked; set it to a private P-256 key (openssl ecparam -genkey -name prime256v1 -noout makes one).",
  );
}

/**
 * The app's own key in development: made once, kept beside the data, readable by its owner alone, so that tokens stay
 * good over a restart. Processes that start at once agree on one: each writes its own, whole and synced, under a name of
 * its own, and the first to link it under the key's name has made the key.
 */
export async function developmentTokenKey(folder: string): Promise<string> {
  const file = join(folder, "token-key.pem");
  try {
    const known = await readIfThere(file);
    if (known !== undefined) return known;
    await mkdir(folder, { recursive: true });
    await makeKey(file, join(folder, `token-key-${newId()}.tmp`));
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new StartError(
      "TOKEN_KEY_UNUSABLE",
      `PLINTH_DATA: the development key ${file} can be neither read nor made (${(cause as Error).message}); let this user write there, or set PLINTH_TOKEN_KEY.`,
      { cause },
    );
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

async function makeKey(file: string, own: string): Promise<void> {
  try {
    const handle = await open(own, "wx", 0o600);
    try {
      await handle.writeFile(generateTokenSecret());
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
