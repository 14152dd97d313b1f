import type { Client, Query, QueryResult } from "pg";
import { error } from "../../base/index.ts";
import { quoteName, splitStatements, withoutLeadingComments } from "../../database/index.ts";

/**
 * Behind a pooler in transaction mode, two transactions of one client run on two connections of the server. What a
 * session would set once is therefore set with each transaction, for it alone: in the same message as BEGIN, and, for a
 * statement of its own, in the same implicit transaction (two statements before one Sync). Neither costs a round trip.
 */
export interface Prelude {
  /** Goes before a statement in the extended protocol. Gives one row. */
  readonly query: { readonly text: string; readonly values: readonly string[] };
  /** Goes after BEGIN, or before a script. */
  readonly script: string;
}

export interface PreludeOptions {
  readonly schema: string;
  readonly statementTimeoutMs: number;
  readonly idleInTransactionMs: number;
}

export function preludeOf({ schema, statementTimeoutMs, idleInTransactionMs }: PreludeOptions): Prelude {
  const path = `${quoteName(schema)}, public`;
  const values = [path, String(statementTimeoutMs), String(idleInTransactionMs)];
  const names = ["search_path", "statement_timeout", "idle_in_transaction_session_timeout"];
  const fixed = ["set_config('timezone', 'UTC', true)", "set_config('datestyle', 'ISO', true)"];
  const set = names.map((name, i) => `set_config('${name}', $${i + 1}, true)`);
  return {
    query: { text: `select ${[...set, ...fixed].map((call) => `pg_catalog.${call}`).join(", ")}`, values },
    script:
      `set local search_path to ${path}; set local statement_timeout to ${statementTimeoutMs}; ` +
      `set local idle_in_transaction_session_timeout to ${idleInTransactionMs}; ` +
      "set local timezone to 'UTC'; set local datestyle to 'ISO'",
  };
}

export interface Statement {
  readonly text: string;
  readonly values: readonly (string | null)[];
}

/** The parts of `pg`'s connection and query that its types leave out. */
interface ProtocolConnection {
  parse(message: { text: string; name: string }): void;
  bind(message: { portal: string; statement: string; values: readonly string[] }): void;
  execute(message: { portal: string }): void;
}
interface QueryInternals {
  prepare(connection: ProtocolConnection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: unknown): void;
}

/** Runs `statement` in one implicit transaction with the prelude, in one round trip. */
export async function queryWithPrelude(client: Client, statement: Statement, prelude: Prelude): Promise<QueryResult> {
  const { default: pg } = await import("pg");
  return new Promise((resolve, reject) => {
    const done = (failed: Error | null, result: QueryResult): void => (failed ? reject(failed) : resolve(result));
    const config = { text: statement.text, values: [...statement.values], queryMode: "extended" };
    const query = new (pg.Query as unknown as new (...given: unknown[]) => Query & QueryInternals)(config, done);
    const { prepare, handleDataRow, handleCommandComplete } = query;
    let inPrelude = true;
    query.prepare = (connection) => {
      const { text, values } = prelude.query;
      connection.parse({ text, name: "" });
      connection.bind({ portal: "", statement: "", values });
      connection.execute({ portal: "" });
      prepare.call(query, connection);
    };
    query.handleDataRow = (message) => {
      if (!inPrelude) handleDataRow.call(query, message);
    };
    query.handleCommandComplete = (message, connection) => {
      if (inPrelude) inPrelude = false;
      else handleCommandComplete.call(query, message, connection);
    };
    client.query(query);
  });
}

/**
 * Refuses what would stay on the server's connection when the transaction is over, where the next client finds it, and
 * this one does not. It reads the first words, and names of functions: a function of yours that does so is not seen.
 */
export function refuseSessionState(text: string, direct: boolean): void {
  for (const statement of splitStatements(text)) {
    const code = withoutLeadingComments(statement);
    const found = leaks.find(({ pattern }) => pattern.test(code));
    if (!found) continue;
    const instead = direct
      ? "use database.session(…, { pinned: true }), which goes past the pooler"
      : "add direct=HOST:PORT of the server itself to the URL, and use database.session(…, { pinned: true })";
    throw error("internal", "Something went wrong on our side.", {
      reason: "SESSION_STATE_REFUSED",
      executed: "no",
      detail: {
        text,
        message: `${found.what} does not hold behind a pooler in transaction mode: ${found.use}, or ${instead}.`,
      },
    });
  }
}

const leaks: readonly { readonly pattern: RegExp; readonly what: string; readonly use: string }[] = [
  {
    pattern: /^(?:set(?!\s+(?:local|transaction|constraints)\b)|reset|discard)\b/i,
    what: "A setting of the session",
    use: "use set local in a transaction",
  },
  {
    pattern: /\bset_config\s*\([^()]*(?:\([^()]*\)[^()]*)*,\s*(?:false|'f(?:alse)?'|'off'|'0')\s*\)/i,
    what: "A setting of the session",
    use: "give set_config true as its third argument, in a transaction",
  },
  {
    pattern: /\bpg_(?:try_)?advisory_(?:lock|unlock)\w*\s*\(/i,
    what: "An advisory lock of the session",
    use: "use pg_advisory_xact_lock in a transaction",
  },
  {
    pattern: /^create\s+(?:(?:global|local)\s+)?temp(?:orary)?\s(?![\s\S]*\bon\s+commit\s+drop\b)/i,
    what: "A temporary table",
    use: "make it in a transaction with on commit drop",
  },
  { pattern: /^(?:un)?listen\b/i, what: "LISTEN", use: "poll" },
  { pattern: /^(?:prepare(?!\s+transaction)|deallocate)\b/i, what: "A prepared statement", use: "leave it unnamed" },
  { pattern: /^declare\s[\s\S]*\bwith\s+hold\b/i, what: "A cursor with hold", use: "page with a where clause" },
  { pattern: /^load\b/i, what: "LOAD", use: "set session_preload_libraries at the server" },
];
