import type { QueryConfig, QueryResult as ServerResult } from "pg";
import type { Clock, PlinthError } from "../../base/index.ts";
import { deadlineExceeded, error } from "../../base/index.ts";
import type { Lease, QueryResult, Session, SqlText, StatementLimits } from "../../database/index.ts";
import {
  breaksSession,
  isTransactionControl,
  notStarted,
  toDatabaseError,
  withExecuted,
} from "../../database/index.ts";
import type { Connection } from "./connection.ts";
import type { Prelude, Statement } from "./prelude.ts";
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
  readonly #lease: Lease<Connection>;
  readonly #clock: Clock;
  readonly #pooling: Pooling | undefined;
  #inDoubt = false;
  #released = false;

  constructor(lease: Lease<Connection>, clock: Clock, pooling?: Pooling) {
    this.#lease = lease;
    this.#clock = clock;
    this.#pooling = pooling;
  }

  async query(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    const result = await this.#run(text, limits, () => this.#send({ text, values }));
    const { rows, rowCount, command, fields } = result;
    return {
      rows: rows as Record<string, unknown>[],
      rowCount: rowCount ?? 0,
      command: command ?? "",
      fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
    };
  }

  async #send(statement: Statement): Promise<ServerResult> {
    const { client } = this.#lease.resource;
    const plain = { ...statement, queryMode: "extended" } as unknown as QueryConfig;
    if (!this.#pooling) return client.query(plain);
    const { prelude, direct } = this.#pooling;
    refuseSessionState(statement.text, direct);
    if (client.getTransactionStatus() !== "I") return client.query(plain);
    if (!isTransactionControl(statement.text)) return queryWithPrelude(client, statement, prelude);
    const results = (await client.query(`${statement.text};\n${prelude.script}`)) as unknown as ServerResult[];
    return results[0] as ServerResult;
  }

  async script(text: string, limits: StatementLimits): Promise<void> {
    const outside = this.#lease.resource.client.getTransactionStatus() === "I";
    try {
      await this.#run(text, limits, async () => {
        if (this.#pooling) refuseSessionState(text, this.#pooling.direct);
        const before = this.#pooling && outside ? `${this.#pooling.prelude.script};\n` : "";
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
