import type { CallContext, Clock, PlinthError } from "../base/index.ts";
import { anonymous, CallScope, createDeadlines, deadlineExceeded, error, toPlinthError } from "../base/index.ts";
import type { Database, Fragment, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { bucketCount } from "./bucket.ts";
import type { OrderKey } from "./keyset.ts";
import { createKeyset } from "./keyset.ts";

/**
 * One read on all shards: each answers for the buckets it has in the same snapshot in which it reads, and the whole is
 * complete only when every bucket was answered for by exactly one. A move that falls between makes it try again.
 *
 * It is not one snapshot over all shards: two rows on two shards may come from moments a few milliseconds apart.
 *
 * With `orderBy` the pages are merged by these keys, which together must be unique and not NULL; go on with `after: next`.
 * Without, the rows are as many answers side by side, such as one count for each shard.
 */
export interface ScatterOptions {
  readonly orderBy?: readonly OrderKey[];
  /** Rows at most. Default 100, at most 10,000. Without `orderBy`, more than that are refused, not cut off. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** Longest wait for one shard, in ms. Default 5,000. */
  readonly deadlineMs?: number;
  /** Whether an answer without the shards that failed is worth having. Default "refuse". */
  readonly partial?: "refuse" | "allow";
}

export interface Scattered<Row> {
  readonly rows: readonly Row[];
  /** Where the next page begins; undefined at the end, and without `orderBy`. */
  readonly next: string | undefined;
  /** The shards that are missing. Empty unless `partial: "allow"`. */
  readonly partial: readonly string[];
}

export interface ScatterParts {
  /** The service's database on each shard. */
  readonly shards: ReadonlyMap<string, Database>;
  readonly clock: Clock;
  readonly context: CallContext | undefined;
}

interface Answer {
  readonly shard: string;
  readonly buckets: readonly number[];
  readonly rows: readonly Record<string, unknown>[];
}

/** What a shard that is missing may have said. Anything else is a mistake of the statement, the same on all. */
const passing = ["unavailable", "deadline_exceeded", "resource_exhausted", "aborted", "cancelled", "unknown"];
const limitMax = 10_000;
const attemptsMax = 20;

export async function scatter<Row>(
  parts: ScatterParts,
  fragment: Fragment,
  options: ScatterOptions = {},
): Promise<Scattered<Row>> {
  const { limit = 100, partial = "refuse", orderBy, after } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > limitMax)
    throw invalid(`takes 1 to ${limitMax} rows, not ${limit}`);
  const keyset = orderBy && createKeyset(orderBy);
  if (after !== undefined && !keyset) throw invalid("goes on after a page only in an order: say orderBy");
  // One more than asked for tells whether there is a next page, and whether the keys are unique.
  const statement = keyset
    ? keyset.page(fragment, after, limit + 1)
    : sql`select * from (${fragment}) plinth_rows limit ${limit + 1}::int`;
  for (let attempt = 1; ; attempt++) {
    const { answers, missing } = await ask(parts, statement, options);
    const wrong = missing.find(({ failed }) => !passing.includes(failed.code));
    if (wrong) throw wrong.failed;
    const first = missing[0];
    if (first && (partial === "refuse" || answers.length === 0))
      throw incomplete(
        missing.map(({ shard }) => shard),
        first.failed,
      );
    if (!isWhole(answers, missing.length > 0)) {
      if (attempt >= attemptsMax) throw incomplete([], undefined);
      await parts.clock.sleep(5 * attempt, parts.context?.signal);
      continue;
    }
    const lists = answers.map(({ rows }) => rows);
    const page = keyset ? keyset.merge(lists, limit) : { rows: lists.flat(), next: undefined };
    if (page.rows.length > limit) throw tooMany(limit);
    return { rows: page.rows as Row[], next: page.next, partial: missing.map(({ shard }) => shard) };
  }
}

async function ask(
  { shards, clock, context }: ScatterParts,
  statement: Fragment,
  { deadlineMs = 5_000 }: ScatterOptions,
) {
  const missing: { readonly shard: string; readonly failed: PlinthError }[] = [];
  const answers: Answer[] = [];
  const deadline = clock.now() + deadlineMs;
  await Promise.all(
    [...shards].map(async ([shard, database]) => {
      const scope = context
        ? context.child({ deadline })
        : new CallScope({ principal: anonymous, deadline, caller: "scatter", deadlines: createDeadlines(clock) });
      try {
        answers.push({
          shard,
          ...(await within(
            scope,
            database.bind(scope).transaction((tx) => read(tx, statement), snapshot),
          )),
        });
      } catch (thrown) {
        missing.push({ shard, failed: toPlinthError(thrown) });
      } finally {
        scope.finish();
      }
    }),
  );
  return { answers, missing };
}

const snapshot = { isolation: "repeatable read", readOnly: true } as const;

async function read(tx: Transaction, statement: Fragment): Promise<Omit<Answer, "shard">> {
  const held = await tx.sql<{ bucket: number }>`select bucket from plinth_fence where state in ('open', 'fenced')`;
  const { rows } = await tx.execute(statement);
  return { buckets: held.map(({ bucket }) => bucket), rows };
}

/** Not every engine can stop a statement: the caller need not wait for it. */
function within<R>(scope: CallScope, work: Promise<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    const stop = scope.onCancel((reason) =>
      reject(reason.code === "deadline_exceeded" ? deadlineExceeded("no") : reason),
    );
    work.then(resolve, reject).finally(stop);
  });
}

/** Every bucket by exactly one; when shards are missing, none by two. */
function isWhole(answers: readonly Answer[], mayLack: boolean): boolean {
  const seen = new Set<number>();
  let count = 0;
  for (const { buckets } of answers) {
    for (const bucket of buckets) seen.add(bucket);
    count += buckets.length;
  }
  return count === seen.size && (mayLack || count === bucketCount);
}

function invalid(what: string): PlinthError {
  return error("invalid_argument", `A scatter ${what}.`, { reason: "SCATTER_INVALID", executed: "no" });
}

function incomplete(shards: readonly string[], cause: PlinthError | undefined): PlinthError {
  const message =
    shards.length > 0 ? `no answer from ${shards.join(", ")}` : `buckets were on the way ${attemptsMax} times`;
  return error("unavailable", "Not all of the data could be read.", {
    reason: "SCATTER_INCOMPLETE",
    executed: "no",
    detail: { message },
    ...(cause && { cause }),
  });
}

function tooMany(limit: number): PlinthError {
  return error("resource_exhausted", `There are more than ${limit} rows.`, {
    reason: "SCATTER_TOO_MANY_ROWS",
    executed: "no",
    retry: "never",
  });
}
