import type { Socket } from "node:net";
import type { QueryResult, Statement } from "../../database/index.ts";
import { parserOf } from "../../database/index.ts";
import type { Field, Prepared, PreparedStatements } from "./prepared.ts";
import { WireWriter } from "./wire-writer.ts";

/** One or several statements in one round trip: everything is written at once, and read as it comes. */
export interface ExchangeOptions {
  readonly statements: readonly Statement[];
  readonly prepared: PreparedStatements;
  /** On which unqualified names mean what they mean here. */
  readonly schema: string;
  /** Asked when it is sent: statements that go before everything else, without an answer of their own. */
  readonly preludes: () => readonly string[];
}

/** What came of the statements, in their order: after one that failed no other has run. */
export interface Answers {
  readonly results: readonly QueryResult[];
  /** What ended the exchange before all had an answer, and whether its statement went under a name made before. */
  readonly failure: { readonly thrown: unknown; readonly wasKnown: boolean } | undefined;
}

/** The part of `pg`'s connection that a query of one's own needs. */
interface ProtocolConnection {
  readonly stream: Socket;
  sendCopyFail(message: string): void;
  sync(): void;
}

/** In `pg` anything with `submit` is a query, and is told of the messages that come until the server is ready again. */
export class Exchange {
  readonly answers: Promise<Answers>;
  readonly #options: ExchangeOptions;
  readonly #uses: Prepared[] = [];
  readonly #wereKnown: boolean[] = [];
  readonly #results: QueryResult[] = [];
  #resolve!: (answers: Answers) => void;
  /** Those that have no answer yet, in order. */
  readonly #preludes: { readonly text: string; readonly use: Prepared }[] = [];
  #fields: readonly Field[] = noFields;
  #rows: Record<string, unknown>[] = [];
  /** A value that could not be read: the rest of the answer is still on its way. */
  #unreadable: { readonly thrown: unknown } | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.answers = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  submit({ stream }: ProtocolConnection): null {
    const { statements, prepared, schema, preludes } = this.#options;
    // Asked first: a name that is given up from here on may be one that is used in this exchange.
    const closing = prepared.takeClosing();
    for (const text of preludes())
      this.#preludes.push({ text, use: isPlain(text) ? once : prepared.use(schema, text) });
    for (const { text } of statements) this.#uses.push(isPlain(text) ? once : prepared.use(schema, text));
    for (const name of closing) writer.close(name);
    for (const { text, use } of this.#preludes) {
      if (use.fields === undefined || use === once) writer.parse(use.name, text);
      writer.bind(use.name, []);
      writer.execute();
    }
    for (const [i, { text, values }] of statements.entries()) {
      const use = this.#uses[i] ?? once;
      // The same one twice in one exchange: by the time of the second the server has it, and said what it answers with.
      const isKnown = use.fields !== undefined || (use.name !== "" && this.#uses.indexOf(use) < i);
      this.#wereKnown.push(isKnown && use !== once);
      if (!isKnown || use === once) writer.parse(use.name, text);
      writer.bind(use.name, values);
      if (!isKnown) writer.describe();
      writer.execute();
    }
    writer.sync();
    this.#begin();
    stream.write(writer.take());
    return null;
  }

  handleRowDescription({
    fields,
  }: {
    readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  }): void {
    this.#fields = fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID, parse: parserOf(dataTypeID) }));
  }

  handleDataRow({ fields: texts }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#preludes.length > 0) return;
    const fields = this.#fields;
    const row: Record<string, unknown> = {};
    try {
      for (let i = 0; i < fields.length; i++) {
        const { name, parse } = fields[i] as Field;
        const text = texts[i];
        row[name] = text === null || text === undefined ? null : parse(text);
      }
    } catch (thrown) {
      this.#unreadable ??= { thrown };
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const prelude = this.#preludes.shift();
    if (prelude) {
      if (prelude.use.name !== "") prelude.use.fields ??= noFields;
      return;
    }
    const use = this.#uses[this.#results.length];
    if (use && use.name !== "") use.fields ??= this.#fields;
    const space = text.indexOf(" ");
    this.#results.push({
      rows: this.#rows,
      rowCount: space < 0 ? 0 : Number(text.slice(text.lastIndexOf(" ") + 1)) || 0,
      command: space < 0 ? text : text.slice(0, space),
      fields: this.#fields,
    });
    this.#begin();
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: "" });
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: ProtocolConnection): void {
    connection.sendCopyFail("COPY FROM STDIN is not supported");
    // The one that was sent is ignored in the middle of a copy.
    connection.sync();
  }

  handleCopyData(): void {}

  /** The server skips what follows until it is ready again; `pg` does not tell when that is. */
  handleError(thrown: unknown): void {
    const { statements, prepared, schema } = this.#options;
    const at = this.#results.length;
    // Whether the server has these names now is not known: the failure may have come before or after it took them.
    for (let i = at; i < statements.length; i++) {
      const use = this.#uses[i];
      if (use && use.name !== "" && use.fields === undefined) prepared.forget(schema, statements[i]?.text ?? "");
    }
    for (const { text, use } of this.#preludes) {
      if (use.name !== "" && use.fields === undefined) prepared.forget(schema, text);
    }
    const wasKnown = this.#preludes.length === 0 && this.#wereKnown[at] === true;
    this.#resolve({ results: this.#results, failure: { thrown, wasKnown } });
  }

  handleReadyForQuery(): void {
    const failure = this.#unreadable && { thrown: this.#unreadable.thrown, wasKnown: false };
    this.#resolve({ results: failure ? [] : this.#results, failure });
  }

  /** The next statement's answer: what it will hold is known from an earlier time, or is told before its rows. */
  #begin(): void {
    this.#rows = [];
    this.#fields = this.#uses[this.#results.length]?.fields ?? noFields;
  }
}

/** What has no values and no plan, and is another text each time: it is sent as it is. */
function isPlain(text: string): boolean {
  return text.length < 60 && /^(?:savepoint|rollback to|release|set)\b/.test(text);
}

const noFields: readonly Field[] = [];
/** Never known at the server, and answers with nothing. */
const once: Prepared = { name: "", madeAt: 0, usesLeft: 0, fields: noFields };
/** Sending takes one turn: one is enough for all connections. */
const writer = new WireWriter();
