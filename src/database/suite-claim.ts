import type { Database } from "./database.ts";
import type { DatabaseOptions } from "./database-options.ts";
import type { DatabaseDriver } from "./driver.ts";

/** What a case works with: databases on the driver, in schemas of its own that are dropped afterwards. */
export interface DatabaseWorld {
  readonly driver: DatabaseDriver;
  /** On the case's first schema, which exists and is empty. */
  readonly db: Database;
  /** Another on the same schema, or on a new one. */
  database(options?: Partial<DatabaseOptions>): Promise<Database>;
  /** The name of a schema that does not exist yet, and will be dropped. */
  newSchema(): string;
}

export interface DatabaseClaim {
  readonly name: string;
  readonly needs?: "concurrentTransactions" | "cancelsStatements" | "sessionState";
  readonly prove: (world: DatabaseWorld) => Promise<void>;
}
