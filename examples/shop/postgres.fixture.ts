import { app, newId } from "plinth";
import { startTestApp } from "plinth/testing";
import { createProbe } from "./probe.fixture.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;

/** Why tests on Postgres are left out, or false when they run. */
export const skipWithoutPostgres: string | false = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  drop(): Promise<void>;
}

/** A database of a test's own on the Postgres that tests were given: empty, or a copy of one that nobody has open. */
export async function newDatabase(template?: TestDatabase): Promise<TestDatabase> {
  const name = `plinth_shop_${newId().replaceAll("-", "")}`;
  await administer(`create database ${name}${template ? ` template ${template.name}` : ""}`);
  const own = new URL(url ?? "");
  own.pathname = `/${name}`;
  return { name, url: own.href, drop: () => administer(`drop database if exists ${name} with (force)`) };
}

/** Runs one statement in the database that was given, and leaves nothing behind there. */
async function administer(statement: string): Promise<void> {
  const probe = createProbe(`probe${newId().replaceAll("-", "")}`);
  const running = await startTestApp(app({ name: "administration", services: [probe.service] }), {
    environment: { DATABASE_URL: url },
  });
  try {
    const { run } = running.client(probe.contract);
    await run({ text: statement });
    await run({ text: `drop schema ${probe.contract.name} cascade` });
  } finally {
    await running.stop();
  }
}
