import type { Client, QueryConfig, QueryResult as ServerResult, Submittable } from "pg";
import type { Clock, PlinthError } from "../../base/index.ts";
import { deadlineExceeded, error } from "../../base/index.ts";
import type {
  Lease,
  Outcome,
  QueryResult,
  Session,
  SqlText,
  Statement,
  StatementLimits,
} from "../../database/index.ts";
import {
  breaksSession,
  isPlannedByIndex,
  isTransactionControl,
  notStarted,
  quoteName,
  toDatabaseError,
  withExecuted,
} from "../../database/index.ts";
import type { Connection } from "./connection.ts";
import type { Answers } from "./exchange.ts";
import { Exchange } from "./exchange.ts";
import type { Prelude } from "./prelude.ts";
import { queryWithPrelude, refuseSessionState } from "./prelude.ts";

/** What a session behind a pooler in transaction mode does besides. */
export interface Pooling {
  readonly prelude: Prelude;
  /** There is a way past the pooler, to name in refusals. */
  readonly direct: boolean;
}

/** How long a cancelled statement may take to end before its connection is cut. */
const cancelGraceMs = 1_000;

/**
 * A leased connection. A statement whose time is up is cancelled on the server; when that is confirmed nothing was done,
 * and when it is not, within a second, the connection is cut and the answer is "maybe". Either way the connection is not
 * used again, since a cancel that comes late would hit somebody else's statement.
 */
export class PostgresSession implements Session {
  /** Behind a pooler each statement says its own prelude. */
  readonly pipeline: Session["pipeline"];
  readonly #lease: Lease<Connection>;
  readonly #clock: Clock;
  readonly #schema: string;
  readonly #pooling: Pooling | undefined;
  #inDoubt = false;
  #released = false;
  /** The search path is not what was set, or may not be. */
  #pathInDoubt = false;
  /** It was set in what has not committed yet. */
  #pathPending = false;

  constructor(lease: Lease<Connection>, clock: Clock, schema: string, pooling?: Pooling) {
    this.#lease = lease;
    this.#clock = clock;
    this.#schema = schema;
    this.#pooling = pooling;
    this.pipeline = pooling ? undefined : (statements, limits) => this.#pipeline(statements, limits);
  }

  async query(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    const pooling = this.#pooling;
    if (pooling) return toResult(await this.#run(text, limits, () => this.#sendPooled({ text, values }, pooling)));
    return this.#run(text, limits, () => this.#send({ text, values }));
  }

  async #pipeline(statements: readonly Statement[], limits: StatementLimits): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    const last = statements.at(-1)?.text ?? "";
    try {
      await this.#run(last, limits, async () => {
        const { results, failure } = await this.#exchange(statements);
        for (const result of results) outcomes.push({ result });
        if (failure) throw inTransaction(failure.thrown);
      });
    } catch (thrown) {
      outcomes.push({ failed: toDatabaseError(thrown, statements[outcomes.length]?.text) });
      while (outcomes.length < statements.length) outcomes.push({ failed: skipped(statements[outcomes.length]?.text) });
    }
    return outcomes;
  }

  async #send(statement: Statement): Promise<QueryResult> {
    for (let isRepeat = false; ; isRepeat = true) {
      const { results, failure } = await this.#exchange([statement]);
      const [result] = results;
      if (!failure && result) return result;
      // Nothing was done: outside of a transaction it can go again at once, and is known by no name now.
      if (failure && !isRepeat && isOutdated(failure.thrown) && !this.#isInTransaction) continue;
      throw inTransaction(failure?.thrown);
    }
  }

  /** As of the last answer that was heard to its end. */
  get #isInTransaction(): boolean {
    return this.#lease.resource.client.getTransactionStatus() !== "I";
  }

  async #exchange(statements: readonly Statement[]): Promise<Answers> {
    const connection = this.#lease.resource;
    const { client, prepared, renewal } = connection;
    const preludes = (): readonly string[] => {
      if (this.#isInTransaction) return none;
      const isAlone = statements.length === 1;
      const planning = isAlone && isPlannedByIndex(statements[0]?.text ?? "") ? [planningByIndexText] : none;
      if (connection.schema === this.#schema && !this.#pathInDoubt) return planning;
      this.#pathInDoubt = false;
      this.#pathPending = true;
      connection.schema = this.#schema;
      return [searchPathText(this.#schema), ...planning];
    };
    const exchange = new Exchange({ statements, prepared, schema: this.#schema, preludes });
    (client as Client).query(exchange as unknown as Submittable);
    const answers = await exchange.answers;
    const command = answers.results.at(-1)?.command ?? "";
    if (answers.failure || command === "ROLLBACK") {
      this.#pathInDoubt ||= this.#pathPending;
      this.#pathPending = false;
    } else if (!this.#isInTransaction) this.#pathPending = false;
    // What there was before anything was set is what the connection began with.
    if (command === "DISCARD" || command === "RESET") this.#pathInDoubt = true;
    if (answers.failure) {
      const { thrown, wasKnown } = answers.failure;
      if (isOutdated(thrown)) renewal.count++;
      else if (wasKnown && mayBeOutdated(thrown))
        prepared.forget(this.#schema, statements[answers.results.length]?.text ?? "");
    }
    return answers;
  }

  /** For what goes another way. */
  async #usePath(): Promise<void> {
    if (this.#lease.resource.schema === this.#schema && !this.#pathInDoubt) return;
    const { failure } = await this.#exchange([]);
    if (failure) throw failure.thrown;
  }

  async #sendPooled(statement: Statement, { prelude, direct }: Pooling): Promise<ServerResult> {
    const { client } = this.#lease.resource;
    refuseSessionState(statement.text, direct);
    if (client.getTransactionStatus() !== "I") {
      return client.query({ ...statement, queryMode: "extended" } as unknown as QueryConfig);
    }
    if (!isTransactionControl(statement.text)) return queryWithPrelude(client, statement, prelude);
    const results = (await client.query(`${statement.text};\n${prelude.script}`)) as unknown as ServerResult[];
    return results[0] as ServerResult;
  }

  async script(text: string, limits: StatementLimits): Promise<void> {
    const outside = this.#lease.resource.client.getTransactionStatus() === "I";
    try {
      await this.#run(text, limits, async () => {
        if (this.#pooling) refuseSessionState(text, this.#pooling.direct);
        else if (outside) await this.#usePath();
        const before = this.#pooling && outside ? `${this.#pooling.prelude.script};\n` : "";
        if (/\b(?:discard|reset)\b/i.test(text)) this.#pathInDoubt = true;
        await this.#lease.resource.client.query(before + text);
      });
    } catch (thrown) {
      // It may have opened a transaction before it failed.
      if (outside) this.#inDoubt = true;
      throw thrown;
    }
  }

  release(broken = false): void {
    if (this.#released) return;
    this.#released = true;
    const connection = this.#lease.resource;
    const { client, dead } = connection;
    if (this.#pathInDoubt || this.#pathPending) connection.schema = undefined;
    this.#lease.release(broken || this.#inDoubt || dead !== undefined || client.getTransactionStatus() !== "I");
  }

  /** Runs one statement under its limits; whatever it throws is one of ours. */
  async #run<R>(text: string, { timeoutMs, context }: StatementLimits, send: () => Promise<R>): Promise<R> {
    const connection = this.#lease.resource;
    if (connection.dead !== undefined) throw withExecuted(toDatabaseError(connection.dead, text), "no");
    if (context?.cancelled) throw notStarted(context.cancelled);
    let stopped: PlinthError | undefined;
    let cancelling: Promise<void> | undefined;
    let stopCut: (() => void) | undefined;
    const stop = (reason: PlinthError): void => {
      if (stopped) return;
      stopped = reason;
      this.#inDoubt = true;
      cancelling = connection.cancel();
      stopCut = this.#clock.after(cancelGraceMs, () => connection.destroy());
    };
    const stopTimer = this.#clock.after(timeoutMs, () => stop(statementTimeout(timeoutMs)));
    const stopListening = context?.onCancel((reason) => stop(reason));
    try {
      return await send();
    } catch (thrown) {
      const failed = toDatabaseError(thrown, text);
      if (breaksSession(failed)) this.#inDoubt = true;
      if (!stopped) throw failed;
      throw cancelled(stopped, failed.executed === "no" ? "no" : "maybe", failed);
    } finally {
      stopTimer();
      stopListening?.();
      stopCut?.();
      await cancelling;
    }
  }
}

export function searchPathText(schema: string): string {
  return `set search_path to ${quoteName(schema)}, public`;
}

/** Holds until the statement after it has ended. Compiling a plan would take longer than carrying it out. */
const planningByIndexText = `select ${Object.entries({
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  jit: "off",
})
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`)
  .join(", ")}`;
const none: readonly string[] = [];

function toResult({ rows, rowCount, command, fields }: ServerResult): QueryResult {
  return {
    rows: rows as Record<string, unknown>[],
    rowCount: rowCount ?? 0,
    command: command ?? "",
    fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
  };
}

/** What the server says of a statement that follows one that failed. */
function skipped(text: string | undefined): PlinthError {
  return toDatabaseError({ code: "25P02", message: "an earlier statement of the transaction failed" }, text);
}

/** A name means nothing any more: somebody has changed a table, or discarded all names. */
function isOutdated(thrown: unknown): boolean {
  const { code, routine } = (thrown ?? {}) as { readonly code?: unknown; readonly routine?: unknown };
  return code === "26000" || (code === "0A000" && routine === "RevalidateCachedQuery");
}

/** The transaction is lost, and a new one does not have the name: to whoever runs it that is a conflict. */
function inTransaction(thrown: unknown): unknown {
  if (!isOutdated(thrown)) return thrown;
  const { message } = thrown as Error;
  return Object.assign(new Error(message, { cause: thrown }), { code: "40001" });
}

/** The types of its values were found out when it got its name: those of the columns may be others by now. */
function mayBeOutdated(thrown: unknown): boolean {
  return /^(?:22|42)/.test(String((thrown as { readonly code?: unknown } | undefined)?.code ?? ""));
}

function statementTimeout(timeoutMs: number): PlinthError {
  const detail = { message: `The statement ran for more than ${timeoutMs} ms and was cancelled.` };
  return error("deadline_exceeded", "The database took too long.", { reason: "STATEMENT_TIMEOUT", detail });
}

/** The reason of the cancellation, with what is known about the work. */
function cancelled(reason: PlinthError, executed: "no" | "maybe", cause: PlinthError): PlinthError {
  if (reason.reason === "STATEMENT_TIMEOUT") {
    const { code, message, detail } = reason;
    return error(code, message, { reason: reason.reason, executed, detail, cause });
  }
  if (reason.code === "deadline_exceeded") return deadlineExceeded(executed);
  return error("cancelled", reason.message, { reason: "STATEMENT_CANCELLED", executed, cause });
}
