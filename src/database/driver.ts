import type { CallContext, PlinthError } from "../base/index.ts";
import type { Statement } from "./sql.ts";

/**
 * The port to a SQL engine that speaks PostgreSQL's language. An engine has a driver; `Database` does the rest.
 *
 * A driver must hand out sessions fairly and within limits, give values back as `values.ts` says (both directions are
 * text), turn every foreign error into one of ours with `toDatabaseError`, and never reuse a session that is in doubt.
 * The proof is `databaseSuite`. The reference driver is the embedded one (engines/pglite): there is none in plain
 * memory, because a pretended SQL engine would prove nothing.
 */
export interface DatabaseDriver {
  /** The engine, as errors and metrics name it: "postgres", "pglite". */
  readonly name: string;
  readonly flags: DatabaseFlags;
  readonly stats: DatabaseStats;
  /** Connects once, to fail at start and not at the first query. StartError when that cannot work. */
  open(): Promise<void>;
  /**
   * A session on which unqualified names mean `options.schema`. First come, first served. Fails with
   * `DATABASE_BUSY` when the queue is full or `timeoutMs` is over, `DATABASE_UNAVAILABLE` when no session can be made.
   */
  acquire(options: AcquireOptions): Promise<Session>;
  /** Refuses new sessions, waits for those in use (at most 5 s), then closes all. May be called twice. */
  close(): Promise<void>;
}

/** What a driver may do. Options that need a flag which is off are refused at start, tests that need it are skipped. */
export interface DatabaseFlags {
  /** Two transactions can be open at once. Off: they run one after another. */
  readonly concurrentTransactions: boolean;
  /** Several processes may use the same data at once. */
  readonly multipleProcesses: boolean;
  /** A running statement ends when its time is up or its call is cancelled. Off: it runs to its end first. */
  readonly cancelsStatements: boolean;
  /**
   * A pinned session keeps what is set on it until it is given back: settings, advisory locks, temporary tables. Off
   * behind a pooler that hands out the server's connections by the transaction.
   */
  readonly sessionState: boolean;
  /** A pooler in transaction mode stands between: its limit of connections holds, and not the server's. */
  readonly pooled: boolean;
  /** What an acknowledged commit survives. */
  readonly durability: "power-loss" | "process-crash" | "none";
}

/** Sessions: in all, lying idle, and callers in the queue; and their limits. */
export interface DatabaseStats {
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
  readonly size: number;
  readonly queueSizeMax: number;
}

export interface AcquireOptions {
  readonly schema: string;
  readonly timeoutMs: number;
  readonly context?: CallContext | undefined;
  /** The session's own state is needed: see `flags.sessionState`. Default false. */
  readonly pinned?: boolean;
}

export interface StatementLimits {
  /** After this the statement is cancelled, if the driver can: `STATEMENT_TIMEOUT`. */
  readonly timeoutMs: number;
  /** Its cancellation cancels the statement. */
  readonly context?: CallContext | undefined;
}

export interface Session {
  /** One statement, its values as PostgreSQL's own text (`encodeValue`). */
  query(text: string, values: readonly (string | null)[], limits: StatementLimits): Promise<QueryResult>;
  /**
   * Several statements of one transaction, the one that begins it perhaps among them, in one round trip. Never rejects:
   * an outcome for each, and after one that failed no other has run. Present where a round trip costs something.
   */
  readonly pipeline?:
    | ((statements: readonly Statement[], limits: StatementLimits) => Promise<readonly Outcome[]>)
    | undefined;
  /** Several statements without values, as a migration file holds them. */
  script(text: string, limits: StatementLimits): Promise<void>;
  /** Gives it back. `broken` destroys it instead, as does anything that left it in doubt. May be called twice. */
  release(broken?: boolean): void;
}

export type Outcome = { readonly result: QueryResult } | { readonly failed: PlinthError };

export interface QueryResult<Row = Record<string, unknown>> {
  readonly rows: Row[];
  /** Rows returned, or changed. */
  readonly rowCount: number;
  /** The first word of the command tag: "SELECT", "COMMIT". */
  readonly command: string;
  readonly fields: readonly { readonly name: string; readonly typeId: number }[];
}
