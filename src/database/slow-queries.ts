import type { Clock } from "../base/index.ts";
import type { Database } from "./database.ts";
import type { QueryRecord } from "./database-options.ts";
import { databaseDetail } from "./errors.ts";
import { Fragment } from "./sql.ts";
import { withoutLeadingComments } from "./statements.ts";

/**
 * Tells a developer of statements that are slow, and of those that one call runs again and again (N+1). Usable as
 * `onQuery` of a database; it holds texts with placeholders, never values.
 *
 * A statement is reported when it takes `thresholdMs` or longer, at most once in `quietMs` for each text; what came
 * meanwhile is counted and told with the next report. The same text `repeatMin` times in one trace is reported once a
 * trace. At most 500 texts and 500 traces are remembered; the least recently seen go first.
 *
 * `explain` (development only) adds the plan of the statement, by EXPLAIN without ANALYZE: nothing runs, and it is the
 * generic plan, which can differ from that for the values at hand. Only select, insert, update, delete and with are
 * explained, and nothing behind a pooler that has no `direct`.
 */
export interface SlowQueryLogOptions {
  readonly clock: Clock;
  readonly log: (report: SlowQueryReport) => void;
  /** Default 100. */
  readonly thresholdMs?: number;
  /** Default 60,000. */
  readonly quietMs?: number;
  /** Default 10. */
  readonly repeatMin?: number;
  /** Where to ask for plans: the database of the schema that the record names. Absent: no plans. */
  readonly explain?: (schema: string) => Database | undefined;
}

export interface SlowQueryReport {
  readonly kind: "slow" | "repeated";
  readonly text: string;
  readonly schema: string;
  readonly traceId: string | undefined;
  /** Of this run, or of all runs in the trace. */
  readonly durationMs: number;
  readonly rows: number;
  /** Slow runs since the last report, this one included; or runs in the trace. */
  readonly count: number;
  /** The slowest of them. */
  readonly worstMs: number;
  readonly plan: string | undefined;
  readonly hint: string;
}

/** The call itself is `onQuery`. */
export interface SlowQueryLog {
  (record: QueryRecord): void;
  /** Until plans that are being asked for have come. */
  settle(): Promise<void>;
}

interface Seen {
  count: number;
  worstMs: number;
  reportedAt: number;
}

interface Repeats {
  readonly texts: Map<string, { count: number; durationMs: number; rows: number }>;
}

const rememberedMax = 500;
const textsOfTraceMax = 200;
const textLengthMax = 2_000;

export function createSlowQueryLog(options: SlowQueryLogOptions): SlowQueryLog {
  const { clock, log, thresholdMs = 100, quietMs = 60_000, repeatMin = 10, explain } = options;
  const seen = new Map<string, Seen>();
  const traces = new Map<string, Repeats>();
  const asking = new Set<Promise<void>>();

  const send = (report: SlowQueryReport, record: QueryRecord): void => {
    const database = explain?.(record.schema);
    if (!database || !isExplainable(record.text)) {
      log(report);
      return;
    }
    const asked: Promise<void> = planOf(database, record.text).then((plan) => {
      asking.delete(asked);
      log({ ...report, plan });
    });
    asking.add(asked);
  };

  const noteSlow = (record: QueryRecord): void => {
    const { text, durationMs, rows, schema, trace } = record;
    const key = `${schema} ${text}`;
    const entry = touch(seen, key, () => ({ count: 0, worstMs: 0, reportedAt: Number.NEGATIVE_INFINITY }));
    entry.count++;
    entry.worstMs = Math.max(entry.worstMs, durationMs);
    if (clock.now() - entry.reportedAt < quietMs) return;
    const { count, worstMs } = entry;
    Object.assign(entry, { count: 0, worstMs: 0, reportedAt: clock.now() });
    const hint = `${Math.round(durationMs)} ms, over the threshold of ${thresholdMs} ms. Look for a missing index, or fewer rows.`;
    const base = { text: text.slice(0, textLengthMax), schema, traceId: trace?.traceId, durationMs, rows };
    send({ kind: "slow", ...base, count, worstMs, plan: undefined, hint }, record);
  };

  const noteRepeat = ({ text, durationMs, rows, schema, trace }: QueryRecord): void => {
    if (!trace || !isExplainable(text)) return;
    const { texts } = touch(traces, trace.traceId, (): Repeats => ({ texts: new Map() }));
    const key = `${schema} ${text}`;
    const sum = texts.get(key) ?? { count: 0, durationMs: 0, rows: 0 };
    if (texts.size < textsOfTraceMax) texts.set(key, sum);
    sum.count++;
    sum.durationMs += durationMs;
    sum.rows += rows;
    if (sum.count !== repeatMin) return;
    const hint = `The same statement ${repeatMin} times in one call: ask for all rows at once, with where id = any($1).`;
    const base = { text: text.slice(0, textLengthMax), schema, traceId: trace.traceId, ...sum };
    log({ kind: "repeated", ...base, worstMs: durationMs, plan: undefined, hint });
  };

  const note = (record: QueryRecord): void => {
    if (record.text.startsWith(`explain execute ${explained}`)) return;
    if (record.durationMs >= thresholdMs) noteSlow(record);
    noteRepeat(record);
  };
  return Object.assign(note, {
    async settle(): Promise<void> {
      await Promise.all(asking);
    },
  });
}

/** Gets or makes the entry, as the one seen last; the one not seen for longest makes room. */
function touch<T>(map: Map<string, T>, key: string, make: () => T): T {
  const entry = map.get(key) ?? make();
  map.delete(key);
  map.set(key, entry);
  if (map.size > rememberedMax) map.delete(map.keys().next().value as string);
  return entry;
}

const explained = "plinth_slow_query";

function isExplainable(text: string): boolean {
  return /^(?:select|insert|update|delete|with)\b/i.test(withoutLeadingComments(text));
}

/** The plan as PostgreSQL prints it, or why there is none: a report without a plan is still a report. */
async function planOf(database: Database, text: string): Promise<string> {
  const count = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
  const nulls = count === 0 ? "" : `(${Array.from({ length: count }, () => "null").join(", ")})`;
  const explain = new Fragment([`explain execute ${explained}${nulls}`], []);
  try {
    return await database.session(
      async (session) => {
        await session.script(`prepare ${explained} as ${text}`);
        try {
          const { rows } = await session.transaction(async (tx) => {
            // The plan for any value: with nulls in their place PostgreSQL would find that no row can match.
            await tx.sql`set local plan_cache_mode = force_generic_plan`;
            return tx.execute<Record<string, string>>(explain);
          });
          return rows.map((row) => row["QUERY PLAN"]).join("\n");
        } finally {
          await session.script(`deallocate ${explained}`);
        }
      },
      { pinned: true },
    );
  } catch (thrown) {
    const message = databaseDetail(thrown)?.message ?? (thrown instanceof Error ? thrown.message : String(thrown));
    return `no plan: ${message}`;
  }
}
