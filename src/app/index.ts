/** The whole app: its declaration, its checks, the Model, and what runs it. */
export type { App, AppOptions, AppService, GatewayOptions } from "./app.ts";
export { app, groupsOf, membersOf, wholeGroup } from "./app.ts";
export type { CheckedApp } from "./check.ts";
export { checkApp } from "./check.ts";
export { checkGatewayFile } from "./gateway-outside.ts";
export type { PendingMigrations } from "./migrations.ts";
export { migrateEventTables, migrateService, pendingOf } from "./migrations.ts";
export type { Model, ModelMethod, ModelNeed, ModelService } from "./model.ts";
export { accessWords, buildModel } from "./model.ts";
export type { Addresses, Runtime, RuntimeOptions } from "./runtime.ts";
export { createRuntime } from "./runtime.ts";
export type { Settings } from "./settings.ts";
export { describeProcessSettings, readProcessSettings } from "./settings.ts";
export type { Stores } from "./stores.ts";
export { createStores } from "./stores.ts";
export { subscriptionsOf } from "./subscriptions.ts";
export { tokenSecretOf } from "./token-key.ts";
