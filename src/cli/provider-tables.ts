import type { App } from "../app/index.ts";
import { buildModel, providerSecretsOf } from "../app/index.ts";
import { parseDuration, StartError, systemRandom } from "../base/index.ts";
import type { ProviderDefinition, ProviderDirectory } from "../provider/index.ts";
import {
  createProviderDirectory,
  createProviderKeys,
  createProviderSecret,
  migrateProvider,
  providerSchema,
} from "../provider/index.ts";
import { withOwnDatabase } from "./own-database.ts";
import type { Terminal } from "./terminal.ts";

/** What a tool works on while the provider itself runs elsewhere. */
export interface ProviderTables extends ProviderDirectory {
  readonly definition: ProviderDefinition;
  /** From now on another key signs: every gateway takes it up within a minute. What the old one signed stays good. */
  rotateSigningKey(): Promise<void>;
}

/** Runs with the provider's tables of an app, in its database, and closes that whatever happens. StartError PROVIDER_ABSENT. */
export async function withProvider(
  app: App,
  terminal: Terminal,
  run: (tables: ProviderTables) => Promise<void>,
): Promise<void> {
  const definition = app.gateway.identity?.provider;
  if (!definition) {
    throw new StartError(
      "PROVIDER_ABSENT",
      `"${app.name}" has no identity provider; declare one: app({ gateway: { identity: { provider: provider({ clients: […] }) } } })`,
    );
  }
  // Tells what is wrong with the declaration.
  buildModel(app);
  await withOwnDatabase(app, terminal, providerSchema, async (own, settings) => {
    await migrateProvider(own);
    await run({
      definition,
      ...createProviderDirectory(definition, own, systemRandom),
      async rotateSigningKey() {
        const secret = createProviderSecret(await providerSecretsOf(settings), systemRandom);
        await createProviderKeys(definition, own, secret).rotate();
      },
    });
  });
}

/** "a b", "a,b". */
export function wordsIn(text: string | undefined): string[] {
  return (text ?? "").split(/[ ,]+/).filter((word) => word !== "");
}

export function requireName(command: string, name: string | undefined): string {
  if (name !== undefined) return name;
  throw new StartError("NAME_MISSING", `${command}: say which one; "plinth ${command.split(" ")[0]} list" shows them.`);
}

export function durationOf(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new StartError("DURATION_WRONG", `${flag}: write a duration such as "1d"; ${JSON.stringify(text)} is none.`);
}
