import type { Clock, PlinthError, Random, Trace } from "../base/index.ts";
import type { DatabaseDriver } from "./driver.ts";
import type { Replicas } from "./replicas.ts";

export interface DatabaseOptions {
  readonly driver: DatabaseDriver;
  /** Standbys of the driver's server, for `read`. As `Replicas` when several databases share them: then whoever made it ends it. */
  readonly replicas?: readonly DatabaseDriver[] | Replicas;
  /** The SQL schema, one per service. Made by the first `migrate`. At most 63 bytes. */
  readonly schema: string;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Longest statement, in ms. Default 30,000; the engine's own limit holds as well. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a session, in ms. Default 5,000. */
  readonly acquireTimeoutMs?: number;
  /** Longest pause between two statements of a transaction, in ms. Default 30,000; then it is rolled back. */
  readonly idleInTransactionMs?: number;
  /** Default 5. */
  readonly transactionAttempts?: number;
  /** Called after each statement. Must not throw. */
  readonly onQuery?: (record: QueryRecord) => void;
  /** Called with what an `afterCommit` hook threw. Default: a process warning. */
  readonly onHookError?: (thrown: unknown) => void;
}

/** What was measured of one statement. `text` holds placeholders, never values. */
export interface QueryRecord {
  readonly text: string;
  readonly durationMs: number;
  readonly rows: number;
  readonly schema: string;
  readonly engine: string;
  readonly trace: Trace | undefined;
  readonly error: PlinthError | undefined;
}
