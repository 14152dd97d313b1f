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
  const password = (await keptSecret(settings.dataFolder, passwordFile, newPassword)).trim();
  if (all.length === 0) {
    try {
      await users.add({ name: developmentUser, password, displayName: "Developer", email: "developer@example.com" });
    } catch (thrown) {
      // Another process was first.
      if (!isError(thrown, "USER_EXISTS")) throw thrown;
    }
  }
  // Said on purpose, and only in development: there is no other way to know it.
  log.info({ user: developmentUser, password, issuer }, "development: you can sign in as this user");
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
