import type { QueryConfig } from "pg";
import type { Clock, PlinthError } from "../../base/index.ts";
import { deadlineExceeded, error } from "../../base/index.ts";
import type { Lease, QueryResult, Session, SqlText, StatementLimits } from "../../database/index.ts";
import { breaksSession, notStarted, toDatabaseError, withExecuted } from "../../database/index.ts";
import type { Connection } from "./connection.ts";

/** How long a cancelled statement may take to end before its connection is cut. */
const cancelGraceMs = 1_000;

/**
 * A leased connection. A statement whose time is up is cancelled on the server; when that is confirmed nothing was done,
 * and when it is not, within a second, the connection is cut and the answer is "maybe". Either way the connection is not
 * used again, since a cancel that comes late would hit somebody else's statement.
 */
export class PostgresSession implements Session {
  readonly #lease: Lease<Connection>;
  readonly #clock: Clock;
  #inDoubt = false;
  #released = false;

  constructor(lease: Lease<Connection>, clock: Clock) {
    this.#lease = lease;
    this.#clock = clock;
  }

  async query(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    const statement = { text, values: values as SqlText[], queryMode: "extended" };
    const result = await this.#run(text, limits, () => this.#lease.resource.client.query(statement as QueryConfig));
    const { rows, rowCount, command, fields } = result;
    return {
      rows: rows as Record<string, unknown>[],
      rowCount: rowCount ?? 0,
      command: command ?? "",
      fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
    };
  }

  async script(text: string, limits: StatementLimits): Promise<void> {
    const outside = this.#lease.resource.client.getTransactionStatus() === "I";
    try {
      await this.#run(text, limits, () => this.#lease.resource.client.query(text));
    } catch (thrown) {
      // It may have opened a transaction before it failed.
      if (outside) this.#inDoubt = true;
      throw thrown;
    }
  }

  release(broken = false): void {
    if (this.#released) return;
    this.#released = true;
    const { client, dead } = this.#lease.resource;
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
