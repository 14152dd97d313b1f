import { newId } from "../base/index.ts";
import type { Database } from "./database.ts";
import { createDatabase } from "./database.ts";
import type { DatabaseOptions } from "./database-options.ts";
import type { DatabaseDriver, DatabaseFlags } from "./driver.ts";
import { sql } from "./sql.ts";
import type { DatabaseClaim } from "./suite-claim.ts";
import { commitKeyCases } from "./suite-commit-keys.ts";
import { limitCases } from "./suite-limits.ts";
import { migrationCases } from "./suite-migrations.ts";
import { operationCases } from "./suite-operations.ts";
import { partitionCases } from "./suite-partitions.ts";
import { queryCases } from "./suite-queries.ts";
import { replicaCases } from "./suite-replicas.ts";
import { transactionCases } from "./suite-transactions.ts";

export interface DatabaseSuiteOptions {
  readonly flags: DatabaseFlags;
  /** A new driver, not yet opened. All of them reach the same data, each with room for 10 sessions at most. */
  makeDriver(): DatabaseDriver | Promise<DatabaseDriver>;
}

/** One claim about a driver. Rejects with an AssertionError when it does not hold. */
export interface DatabaseCase {
  readonly name: string;
  /** Why this driver cannot be asked. */
  readonly skip: string | undefined;
  run(): Promise<void>;
}

/**
 * What every database driver must prove, as data: a loop in any test runner, and `plinth verify engine` on a user's own
 * server, run the same cases. Makes schemas named `plinth_suite_…` and drops them.
 */
export function databaseSuite({ flags, makeDriver }: DatabaseSuiteOptions): readonly DatabaseCase[] {
  const claims: readonly DatabaseClaim[] = [
    ...queryCases,
    ...transactionCases,
    ...limitCases,
    ...migrationCases,
    ...partitionCases,
    ...operationCases,
    ...commitKeyCases,
    ...replicaCases,
  ];
  return claims.map(({ name, needs, prove }) => ({
    name,
    skip: needs && !flags[needs] ? `this engine does not have the flag ${needs}` : undefined,
    async run() {
      const driver = await makeDriver();
      await driver.open();
      const schemas: string[] = [];
      const newSchema = (): string => {
        const name = `plinth_suite_${newId().replaceAll("-", "")}`;
        schemas.push(name);
        return name;
      };
      const database = async (options: Partial<DatabaseOptions> = {}): Promise<Database> => {
        const made = createDatabase({ driver, schema: options.schema ?? newSchema(), ...options });
        await made.execute(sql`create schema if not exists ${sql.id(made.schema)}`);
        return made;
      };
      try {
        await prove({ driver, db: await database(), database, newSchema });
      } finally {
        const cleaner = createDatabase({ driver, schema: "public" });
        for (const schema of schemas) {
          await cleaner.session((session) => session.script(`drop schema if exists "${schema}" cascade`));
        }
        await driver.close();
      }
    },
  }));
}
