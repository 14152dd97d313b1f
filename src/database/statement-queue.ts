import type { CallContext, Clock, PlinthError } from "../base/index.ts";
import type { Outcome, QueryResult, Session } from "./driver.ts";
import { toDatabaseError, withExecuted } from "./errors.ts";
import { notStarted } from "./pool.ts";
import type { Statement } from "./sql.ts";
import type { SqlText } from "./values.ts";

/** How statements get to the server. */
export interface QueueHost {
  readonly clock: Clock;
  readonly context: CallContext | undefined;
  run(session: Session, text: string, values: readonly SqlText[], limited: boolean): Promise<QueryResult>;
  /** As `run`, for all of them in one round trip: for a session with a pipeline. */
  runAll(session: Session, statements: readonly Statement[]): Promise<readonly Outcome[]>;
  script(session: Session, text: string): Promise<void>;
}

export interface QueueOptions {
  readonly host: QueueHost;
  readonly session: Session;
  /** The statement that begins the transaction. */
  readonly begin: string;
  /** Another session, for when the given one turns out to have died while it lay idle. */
  readonly another: (() => Promise<Session>) | undefined;
  /** What a failure is to whoever asked. */
  readonly explain: (failed: PlinthError) => PlinthError;
}

interface Work {
  readonly what: Statement | { readonly script: string };
  readonly resolve: (result: QueryResult) => void;
  readonly reject: (failed: PlinthError) => void;
}

/** Statements in one round trip at most: the time of a statement holds for all of them together. */
const pipelineMax = 16;

/**
 * The statements of one transaction, one after another, in order of asking. Where the session has a pipeline, what is
 * asked for in one turn of the event loop goes in one round trip, and BEGIN goes with the first of it.
 */
export class StatementQueue {
  /** The given one, or the one that took its place. */
  session: Session;
  /** Asked for and not ended. */
  pending = 0;
  idleSince: number;
  /** BEGIN was not sent yet. */
  isUnbegun: boolean;
  readonly #options: QueueOptions;
  readonly #waiting: Work[] = [];
  #isPumping = false;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: QueueOptions) {
    this.#options = options;
    this.session = options.session;
    this.isUnbegun = options.session.pipeline !== undefined;
    this.idleSince = options.host.clock.now();
  }

  add(what: Statement | { readonly script: string }): Promise<QueryResult> {
    this.pending++;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ what, resolve, reject });
      if (this.#isPumping) return;
      this.#isPumping = true;
      // In a moment: what is asked for in the same turn goes along.
      this.#tail = Promise.resolve().then(() => this.#pump());
    });
  }

  /** When all that was asked for until now has ended, well or not. */
  settled(): Promise<void> {
    return this.#tail;
  }

  /** Gives back the session that took the place of the given one, which is the caller's. */
  letGo(): void {
    if (this.session !== this.#options.session) this.session.release();
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      const works = this.#take();
      const outcomes = await this.#perform(works);
      this.pending -= works.length;
      this.idleSince = this.#options.host.clock.now();
      for (const [i, { resolve, reject }] of works.entries()) {
        const outcome = outcomes[i] ?? { failed: toDatabaseError(new Error("a statement without an outcome")) };
        if ("result" in outcome) resolve(outcome.result);
        else reject(this.#options.explain(outcome.failed));
      }
    }
    this.#isPumping = false;
  }

  /** What goes next: statements up to the next script, or a script alone. */
  #take(): Work[] {
    if (!this.session.pipeline) return this.#waiting.splice(0, 1);
    const script = this.#waiting.findIndex(({ what }) => "script" in what);
    return this.#waiting.splice(0, Math.min(script < 0 ? pipelineMax : Math.max(script, 1), pipelineMax));
  }

  async #perform(works: readonly Work[]): Promise<readonly Outcome[]> {
    const { context } = this.#options.host;
    try {
      if (context?.cancelled) throw notStarted(context.cancelled);
      return await (this.isUnbegun ? this.#beginWith(works) : this.#send(works));
    } catch (thrown) {
      const failed = toDatabaseError(thrown);
      return works.map(() => ({ failed }));
    }
  }

  async #send(works: readonly Work[]): Promise<readonly Outcome[]> {
    const { host } = this.#options;
    const [{ what }] = works as [Work];
    if ("script" in what) {
      await host.script(this.session, what.script);
      return [{ result: { rows: [], rowCount: 0, command: "", fields: [] } }];
    }
    if (works.length > 1) return host.runAll(this.session, statementsOf(works));
    return [{ result: await host.run(this.session, what.text, what.values, true) }];
  }

  async #beginWith(works: readonly Work[]): Promise<readonly Outcome[]> {
    const { host, begin } = this.#options;
    const statements = statementsOf(works);
    for (let isRepeat = false; ; isRepeat = true) {
      const [begun, ...outcomes] = await host.runAll(this.session, [{ text: begin, values: [] }, ...statements]);
      this.isUnbegun = false;
      const first = outcomes[0] ?? begun;
      if (!isRepeat && first && isUnavailable(first) && (await this.#replace())) continue;
      if (begun && "failed" in begun) return works.map(() => ({ failed: withExecuted(begun.failed, "no") }));
      return statements.length > 0 ? outcomes : this.#send(works);
    }
  }

  /** A connection may have died unseen. Whatever it has heard was not committed, so all of it can go once more. */
  async #replace(): Promise<boolean> {
    this.session.release(true);
    const session = await this.#options.another?.().catch(() => undefined);
    if (session?.pipeline) this.session = session;
    else session?.release();
    return session?.pipeline !== undefined;
  }
}

function statementsOf(works: readonly Work[]): readonly Statement[] {
  return works.flatMap(({ what }) => ("script" in what ? [] : [what]));
}

function isUnavailable(outcome: Outcome): boolean {
  return "failed" in outcome && outcome.failed.reason === "DATABASE_UNAVAILABLE";
}
