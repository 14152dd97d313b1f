import {
  type CompiledQuery,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type Dialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { error } from "../base/index.ts";
import type { QueryResult } from "./driver.ts";
import { encodeValue, type SqlText } from "./values.ts";

/** Runs one statement, wherever: on a session from the pool, or in a transaction. */
export type Runner = (text: string, values: readonly SqlText[]) => Promise<QueryResult>;

/**
 * Kysely over our own sessions. Each query goes through `run`, so deadlines, limits, errors and measurements are the
 * same as for `sql`. Kysely's own `transaction()`, `startTransaction()` and `stream()` are refused: `db.transaction`
 * retries, bounds and cleans up. `connection()` gives no session of its own: use `db.session`.
 */
export function createKysely<Tables>(run: Runner): Kysely<Tables> {
  const connection: DatabaseConnection = {
    async executeQuery<R>({ sql, parameters }: CompiledQuery) {
      const result = await run(
        sql,
        parameters.map((value, i) => encodeValue(value, `$${i + 1}`)),
      );
      const rows = result.rows as R[];
      return writes.has(result.command) ? { rows, numAffectedRows: BigInt(result.rowCount) } : { rows };
    },
    streamQuery() {
      throw refused("stream()", "page with a where clause and a limit");
    },
  };
  const provider = { provideConnection: <T>(use: (given: DatabaseConnection) => Promise<T>) => use(connection) };
  const executor = new DefaultQueryExecutor(compiler, adapter, provider);
  return new Kysely<Tables>({ config: { dialect }, dialect, driver, executor });
}

const writes = new Set(["INSERT", "UPDATE", "DELETE", "MERGE"]);
const compiler = new PostgresQueryCompiler();
const adapter = new PostgresAdapter();

const refuse = async (): Promise<never> => {
  throw refused("transaction()", "db.transaction(async (tx) => …), and tx.query in it");
};

/** Never connects: the executor above does. Kysely asks it for transactions only. */
const driver: Driver = {
  init: async () => {},
  acquireConnection: refuse,
  beginTransaction: refuse,
  commitTransaction: refuse,
  rollbackTransaction: refuse,
  releaseConnection: async () => {},
  destroy: async () => {},
};

const dialect: Dialect = {
  createAdapter: () => adapter,
  createDriver: () => driver,
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => compiler,
};

function refused(what: string, instead: string): Error {
  return error("internal", `Kysely's ${what} is not available here: use ${instead}.`, {
    reason: "SQL_INVALID",
    executed: "no",
  });
}
