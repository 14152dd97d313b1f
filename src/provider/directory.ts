import type { Random } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { ArtifactStore } from "./artifacts.ts";
import { createArtifactStore } from "./artifacts.ts";
import type { ClientStore } from "./clients.ts";
import { createClientStore } from "./clients.ts";
import type { Passwords } from "./passwords.ts";
import { createPasswords } from "./passwords.ts";
import type { ProviderDefinition } from "./provider.ts";
import type { ProviderSecret } from "./secret.ts";
import type { SigningKeyStore } from "./signing-keys.ts";
import { createSigningKeyStore } from "./signing-keys.ts";
import type { UserStore } from "./users.ts";
import { createUserStore } from "./users.ts";

/** What a provider keeps, for itself and for tools that work on it while it runs elsewhere. */
export interface ProviderDirectory {
  readonly users: UserStore;
  readonly clients: ClientStore;
  readonly artifacts: ArtifactStore;
}

const aheadMsMax = 86_400_000;

/** The keys of a provider, by its declaration. */
export function createProviderKeys(
  { rotateKeysMs, accessTokenMs }: Pick<ProviderDefinition, "rotateKeysMs" | "accessTokenMs">,
  database: Database,
  secret: ProviderSecret,
): SigningKeyStore {
  return createSigningKeyStore(database, secret, {
    signsMs: rotateKeysMs,
    aheadMs: Math.min(aheadMsMax, rotateKeysMs / 4),
    keptMs: accessTokenMs + clockLeewayMs,
  });
}

/** Verifiers may be so much behind. */
export const clockLeewayMs = 60_000;

export interface DirectoryOptions {
  readonly passwords?: Passwords | undefined;
  /** Called after something was revoked here. */
  readonly onRevoked?: (() => void) | undefined;
}

export function createProviderDirectory(
  definition: Pick<ProviderDefinition, "clients" | "scopes" | "accessTokenMs">,
  database: Database,
  random: Random,
  { passwords = createPasswords({ random }), onRevoked }: DirectoryOptions = {},
): ProviderDirectory {
  const artifacts = createArtifactStore(database, definition.accessTokenMs + clockLeewayMs, onRevoked);
  return {
    artifacts,
    users: createUserStore(database, passwords, artifacts.revokeAccount),
    clients: createClientStore(database, definition, random),
  };
}
