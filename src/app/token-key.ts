import { join } from "node:path";
import { StartError } from "../base/index.ts";
import { generateTokenSecret } from "../identity/index.ts";
import { keptSecret } from "./kept-secret.ts";
import type { Settings } from "./settings.ts";

const tokenKeyFile = "token-key.pem";

/** The app's own key, as text: what is set, or in development the one beside the data. StartError TOKEN_KEY_MISSING. */
export async function tokenSecretOf(settings: Pick<Settings, "tokenKey" | "mode" | "dataFolder">): Promise<string> {
  if (settings.tokenKey !== undefined) return settings.tokenKey;
  if (settings.mode !== "production") return developmentTokenKey(settings.dataFolder);
  throw new StartError(
    "TOKEN_KEY_MISSING",
    "PLINTH_TOKEN_KEY: it is not set, so no token can be signed or checked; set it to a private P-256 key (openssl ecparam -genkey -name prime256v1 -noout makes one).",
  );
}

/** The app's own key in development: a secret beside the data, so that tokens stay good over a restart. */
export async function developmentTokenKey(folder: string): Promise<string> {
  try {
    return await keptSecret(folder, tokenKeyFile, generateTokenSecret);
  } catch (cause) {
    throw new StartError(
      "TOKEN_KEY_UNUSABLE",
      `PLINTH_DATA: the development key ${join(folder, tokenKeyFile)} can be neither read nor made (${(cause as Error).message}); let this user write there, or set PLINTH_TOKEN_KEY.`,
      { cause },
    );
  }
}
