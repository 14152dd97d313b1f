/** An identity provider inside the app: sign-in pages, OpenID Connect and OAuth 2.1 for its own users and clients. */
export type { ClientStore, KnownClient } from "./clients.ts";
export { hasSecret } from "./clients.ts";
export type { ProviderDirectory } from "./directory.ts";
export { createProviderDirectory, createProviderKeys } from "./directory.ts";
export type { IdentityProvider, IdentityProviderOptions, ProviderMount, PublicKeys } from "./identity-provider.ts";
export { createIdentityProvider } from "./identity-provider.ts";
export { migrateProvider, providerMigrationSet, providerMigrations, providerSchema } from "./migrations.ts";
export { passwordLength } from "./passwords.ts";
export type {
  ClientKind,
  ClientOptions,
  ProviderDefinition,
  ProviderOptions,
  ProviderTtl,
  ScopeOptions,
} from "./provider.ts";
export { provider } from "./provider.ts";
export type { ProviderLog } from "./provider-log.ts";
export type { ProviderSecret } from "./secret.ts";
export { createProviderSecret } from "./secret.ts";
export type { NewUser, User, UserStore } from "./users.ts";
