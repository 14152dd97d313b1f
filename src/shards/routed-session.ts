import type { AcquireOptions, QueryResult, Session, SqlText, StatementLimits } from "../database/index.ts";
import type { Place } from "./bucket-map.ts";
import { explain, movedAway, readConflict } from "./errors.ts";
import type { FenceRow } from "./fence.ts";
import type { Router } from "./router.ts";
import { createSearch } from "./router.ts";
import { kindOf } from "./statement-kind.ts";

/**
 * A session of the shard that holds one key, wherever that is. It looks like any other to the database room, so that
 * transactions, Kysely, deadlines and cancellation are the same.
 *
 * **Writes** happen in a transaction whose first statement shares the lock on the bucket's row in the fence; a single
 * statement gets a transaction around it. Where the row is not open, the transaction is rolled back before anything ran
 * in it, and begins again where the bucket is: a program's callback never runs twice for a move.
 *
 * **Reads** outside a transaction run first, then look at the fence. Why the answer can be trusted when the shard has
 * the bucket at the epoch that this process knew before the read: epochs of one shard's row only grow, and each change
 * of owner makes a new one; the shard had the bucket at that epoch before the read began (it was learned from the
 * directory or from the row itself, both after the fact) and has it now, so it had it at every moment between, in which
 * the read's snapshot lies. A hint is learned before the fact and is proof of nothing: the read is done again.
 */
export class RoutedSession implements Session {
  readonly #router: Router;
  readonly #key: string;
  readonly #bucket: number;
  readonly #options: AcquireOptions;
  #inner: Session | undefined;
  #shard = "";
  #place: Place | undefined;
  #transaction: "write" | "read" | "snapshot" | undefined;
  /** Something has run: whoever holds this session may count on its state, so it stays where it is. */
  #isUsed = false;

  constructor(router: Router, key: string, bucket: number, options: AcquireOptions) {
    this.#router = router;
    this.#key = key;
    this.#bucket = bucket;
    this.#options = options;
  }

  /** Waits for a session of the shard that is believed to have the key. */
  async enter(): Promise<Session> {
    const place = await this.#router.map.placeOf(this.#bucket);
    this.#place = place;
    if (this.#inner && (this.#isUsed || this.#shard === place.shard)) return this.#inner;
    this.#leave();
    this.#inner = await this.#router.driverOf(place.shard).acquire(this.#options);
    this.#shard = place.shard;
    return this.#inner;
  }

  async query(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    const kind = kindOf(text);
    if (this.#transaction) return kind === "end" ? this.#end(text, limits) : this.#run(text, values, limits);
    if (kind === "begin") return this.#begin(text, limits);
    if (kind === "read") return this.#read(text, values, limits);
    if (kind === "write") return this.#alone(limits, (inner) => inner.query(text, values, limits));
    this.#isUsed = true;
    return (await this.enter()).query(text, values, limits);
  }

  async script(text: string, limits: StatementLimits): Promise<void> {
    if (!this.#transaction) return this.#alone(limits, (inner) => inner.script(text, limits));
    try {
      await this.#inner?.script(text, limits);
    } catch (thrown) {
      throw explain(thrown);
    }
  }

  release(broken?: boolean): void {
    this.#leave(broken);
  }

  #leave(broken?: boolean): void {
    this.#inner?.release(broken);
    this.#inner = undefined;
    this.#transaction = undefined;
  }

  async #run(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    try {
      return await (this.#inner as Session).query(text, values, limits);
    } catch (thrown) {
      throw explain(thrown);
    }
  }

  /** Repeats `attempt` until it met the bucket: it answers its result, or what the fence said instead. */
  async #find<R>(
    wants: "write" | "read",
    limits: StatementLimits,
    attempt: (inner: Session) => Promise<{ readonly met: R } | { readonly row: FenceRow | undefined }>,
  ): Promise<R> {
    const search = createSearch(this.#router, this.#bucket);
    for (;;) {
      const outcome = await attempt(await this.enter());
      if ("met" in outcome) {
        this.#isUsed = true;
        return outcome.met;
      }
      if (this.#isUsed) throw movedAway(this.#bucket);
      // Not while holding a session that others need, on the embedded engine everybody.
      this.#leave();
      await search.next(this.#shard, outcome.row, wants, limits.context);
    }
  }

  #begin(text: string, limits: StatementLimits): Promise<QueryResult> {
    const isReadOnly = /\bread\s+only\b/i.test(text);
    const isSnapshot = /\bisolation\s+level\s+(?:repeatable|serializable)/i.test(text);
    const { fence, map } = this.#router;
    return this.#find(isReadOnly ? "read" : "write", limits, async (inner) => {
      const begun = await inner.query(text, [], limits);
      let row: FenceRow | undefined;
      try {
        row = isReadOnly
          ? await fence.look(inner, this.#bucket, limits)
          : await fence.lock(inner, this.#bucket, this.#key, limits);
        if (isReadOnly ? this.#canRead(row) : row?.state === "open" && !row.closing) {
          // The lock is the proof: an older epoch in the map is only late.
          if (row && !isReadOnly) map.learnOwner(this.#bucket, this.#shard, row.epoch);
          this.#transaction = !isReadOnly ? "write" : isSnapshot ? "snapshot" : "read";
          return { met: begun };
        }
      } catch (thrown) {
        await this.#rollback(inner, limits);
        throw thrown;
      }
      await this.#rollback(inner, limits);
      return { row };
    });
  }

  /** In a snapshot the first look holds for all; otherwise each statement saw its own moment, and the last one counts. */
  async #end(text: string, limits: StatementLimits): Promise<QueryResult> {
    const inner = this.#inner as Session;
    const mode = this.#transaction;
    if (mode === "read" && /^\s*(?:commit|end)\b/i.test(text)) {
      const row = await this.#router.fence.look(inner, this.#bucket, limits);
      if (!this.#canRead(row)) {
        await this.#rollback(inner, limits);
        if (row) this.#router.map.noteStale();
        throw readConflict(this.#bucket);
      }
    }
    this.#transaction = undefined;
    return inner.query(text, [], limits);
  }

  #read(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    return this.#find("read", limits, async (inner) => {
      let result: QueryResult;
      try {
        result = await inner.query(text, values, limits);
      } catch (thrown) {
        throw explain(thrown);
      }
      const row = await this.#router.fence.look(inner, this.#bucket, limits);
      return this.#canRead(row) ? { met: result } : { row };
    });
  }

  /** A single statement that may write, in a transaction of its own. */
  async #alone<R>(limits: StatementLimits, work: (inner: Session) => Promise<R>): Promise<R> {
    await this.#begin("begin", limits);
    const inner = this.#inner as Session;
    let result: R;
    try {
      result = await work(inner);
    } catch (thrown) {
      await this.#rollback(inner, limits);
      throw explain(thrown);
    }
    this.#transaction = undefined;
    try {
      await inner.query("commit", [], limits);
    } catch (thrown) {
      this.#leave(true);
      throw thrown;
    }
    return result;
  }

  #canRead(row: FenceRow | undefined): boolean {
    if (this.#router.fence.isOff) return true;
    const place = this.#place as Place;
    const isHere = row?.state === "open" || row?.state === "fenced";
    return isHere && place.isProven && place.shard === this.#shard && row.epoch === place.epoch;
  }

  async #rollback(inner: Session, limits: StatementLimits): Promise<void> {
    this.#transaction = undefined;
    const { context: _cancelled, ...uncancelled } = limits;
    try {
      await inner.query("rollback", [], uncancelled);
    } catch {
      // The server forgets a transaction with its connection: that is a rollback too.
      this.#leave(true);
    }
  }
}
