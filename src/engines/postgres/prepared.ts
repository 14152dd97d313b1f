import type { Clock } from "../../base/index.ts";
import { isPlannedEachTime } from "../../database/index.ts";

/**
 * Statements that a connection knows by name: the server parses and plans them once, not each time. The first time a text
 * comes it goes without a name, since most texts that are made up on the way come once; from the second on it has one.
 *
 * A name belongs to a text and a schema, since with another search path the text means other tables. It is kept for 30 s:
 * its plan was made for the tables as they were then, and tables of events grow from nothing to millions. At most 256
 * texts are kept; then the older half of them goes. The server makes a plan of its own for each of the first five uses of a
 * name, and then one for all: a statement that is marked (`planEachTime`) gets a new name before that.
 *
 * A name is forgotten when a statement under it fails in a way that its age may be to blame for, and all are, on all
 * connections to the server, when the server says that what a statement answers with is not what it was: somebody has
 * changed a table.
 */
export class PreparedStatements {
  readonly #clock: Clock;
  readonly #renewal: Renewal;
  readonly #bySchema = new Map<string, Map<string, Prepared>>();
  #renewals: number;
  #count = 0;
  #lastName = 0;
  /** Forgotten here, and not yet there. */
  #closing: string[] = [];

  constructor(clock: Clock, renewal: Renewal) {
    this.#clock = clock;
    this.#renewal = renewal;
    this.#renewals = renewal.count;
  }

  /** How the text goes this time. */
  use(schema: string, text: string): Prepared {
    if (this.#renewals !== this.#renewal.count) this.forgetAll();
    const texts = this.#textsOf(schema);
    const known = texts.get(text);
    if (!known) {
      this.#add(texts, text);
      return unnamed;
    }
    const now = this.#clock.now();
    if (known.usesLeft > 0 && now - known.madeAt <= ageMsMax) {
      known.usesLeft--;
      return known;
    }
    if (known.name !== "") this.#closing.push(known.name);
    const usesLeft = (isPlannedEachTime(text) ? ownPlansCount : Number.POSITIVE_INFINITY) - 1;
    const renewed: Prepared = { name: `p${++this.#lastName}`, madeAt: now, usesLeft, fields: undefined };
    texts.set(text, renewed);
    return renewed;
  }

  /** Names that the server is to forget, once. */
  takeClosing(): readonly string[] {
    if (this.#closing.length === 0) return none;
    const closing = this.#closing;
    this.#closing = [];
    return closing;
  }

  /** The next use makes it anew. */
  forget(schema: string, text: string): void {
    const texts = this.#textsOf(schema);
    const known = texts.get(text);
    if (!known) return;
    if (known.name !== "") this.#closing.push(known.name);
    texts.delete(text);
    this.#count--;
  }

  forgetAll(): void {
    this.#renewals = this.#renewal.count;
    for (const texts of this.#bySchema.values()) {
      for (const { name } of texts.values()) if (name !== "") this.#closing.push(name);
    }
    this.#bySchema.clear();
    this.#count = 0;
  }

  #textsOf(schema: string): Map<string, Prepared> {
    const known = this.#bySchema.get(schema);
    if (known) return known;
    const texts = new Map<string, Prepared>();
    this.#bySchema.set(schema, texts);
    return texts;
  }

  #add(texts: Map<string, Prepared>, text: string): void {
    texts.set(text, { name: "", madeAt: 0, usesLeft: 0, fields: undefined });
    if (++this.#count <= countMax) return;
    // What is in use comes back with its next two uses.
    for (const each of this.#bySchema.values()) {
      let surplus = Math.ceil(each.size / 2);
      for (const [old, { name }] of each) {
        if (surplus-- <= 0) break;
        if (old === text) continue;
        if (name !== "") this.#closing.push(name);
        each.delete(old);
        this.#count--;
      }
    }
  }
}

export interface Prepared {
  /** "" goes without one. */
  readonly name: string;
  readonly madeAt: number;
  usesLeft: number;
  /** What it answers with; undefined until the server has said so, and then it is known there. */
  fields: readonly Field[] | undefined;
}

export interface Field {
  readonly name: string;
  readonly typeId: number;
  readonly parse: (text: string) => unknown;
}

/** Shared by the connections to one server: counted up when all names are to be forgotten. */
export interface Renewal {
  count: number;
}

const unnamed: Prepared = { name: "", madeAt: 0, usesLeft: 0, fields: undefined };
const none: readonly string[] = [];
const ageMsMax = 30_000;
const countMax = 256;
const ownPlansCount = 5;
