import { join } from "node:path";
import { isError, systemRandom } from "../base/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { keptSecret } from "./kept-secret.ts";
import type { Settings } from "./settings.ts";

export const developmentUser = "developer";
const passwordFile = "developer-password";

/**
 * Somebody to sign in as, in development and as long as there is nobody else. The password is made anew for each data
 * folder and kept there: an app that runs by mistake as in development has no user whom everybody knows.
 */
export async function seedDevelopmentUser(
  { users, issuer }: Pick<IdentityProvider, "users" | "issuer">,
  { settings, log }: { readonly settings: Pick<Settings, "dataFolder">; readonly log: Logger },
): Promise<void> {
  const all = await users.list();
  if (all.some(({ name }) => name !== developmentUser)) return;
  if (all.length === 0) {
    const password = (await keptSecret(settings.dataFolder, passwordFile, newPassword)).trim();
    try {
      await users.add({ name: developmentUser, password, displayName: "Developer", email: "developer@example.com" });
    } catch (thrown) {
      // Another process was first.
      if (!isError(thrown, "USER_EXISTS")) throw thrown;
    }
  }
  const file = join(settings.dataFolder, passwordFile);
  log.info({ issuer }, `development: sign in as "${developmentUser}" with the password in ${file}`);
}

function newPassword(): string {
  const bytes = systemRandom.fill(new Uint8Array(9));
  return `${Buffer.from(bytes)
    .toString("base64url")
    .toLowerCase()
    .replaceAll("_", "x")
    .match(/.{1,4}/g)
    ?.join("-")}\n`;
}
