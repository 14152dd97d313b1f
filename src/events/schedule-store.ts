import type { PlinthError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { SchedulePlan } from "./schedule.ts";
import type { Due } from "./schedule-due.ts";

/**
 * The tables `plinth_schedules` (how far each has come) and `plinth_ticks` (what ran, runs and is to run) of one
 * service. All times are the database's. Every write of whoever runs a tick names the attempt and the epoch under which
 * it was counted, so that a late one changes nothing.
 */
export interface ScheduleStore {
  /** Makes new schedules known: they begin now. One that is `changed` begins anew, if told. */
  register(plans: readonly SchedulePlan[], changed: "leave" | "restart"): Promise<void>;
  look(names: readonly string[]): Promise<ScheduleView>;
  /** Goes on to the next tick, and counts its first attempt. Undefined when somebody else did. */
  open(schedule: ScheduleRow, due: Due, epoch: string): Promise<ClaimedTick | undefined>;
  /** Counts one more attempt. Undefined when somebody else did. */
  claim(schedule: string, open: OpenTick, epoch: string): Promise<ClaimedTick | undefined>;
  /** In the transaction of the effect, first of all. False: another attempt took over, or it is done. */
  finish(tx: Pick<Transaction, "sql">, tick: ClaimedTick): Promise<boolean>;
  /** Another attempt after `delayMs`; this one counts, or not. False as above. */
  postpone(tick: ClaimedTick, delayMs: number, counted: boolean, failure: PlinthError): Promise<boolean>;
  fail(tick: ClaimedTick, failure: PlinthError): Promise<boolean>;
  /** A tick for now, for whoever leads to run. */
  request(schedule: string): Promise<number>;
  tick(schedule: string, tickMs: number): Promise<TickState | undefined>;
  /** Deletes up to `limit` ticks that are over: older than 7 days, or beyond the newest 1,000 of their schedule. */
  deleteOld(limit: number): Promise<number>;
}

export interface ScheduleView {
  readonly nowMs: number;
  readonly schedules: ReadonlyMap<string, ScheduleRow>;
}

export interface ScheduleRow {
  readonly name: string;
  readonly definition: string;
  readonly lastTickMs: number;
  /** The oldest that is not over. */
  readonly open: OpenTick | undefined;
}

export interface OpenTick {
  readonly tickMs: number;
  readonly attempts: number;
  readonly epoch: string;
  readonly readyMs: number;
}

export interface ClaimedTick {
  readonly schedule: string;
  readonly tickMs: number;
  readonly attempt: number;
  readonly epoch: string;
}

export interface TickState {
  readonly state: "open" | "done" | "failed";
  readonly attempts: number;
  readonly reason: string | undefined;
}

interface LookRow {
  readonly now: string;
  readonly name: string;
  readonly definition: string;
  readonly last: string;
  readonly tick: string | null;
  readonly attempts: number | null;
  readonly epoch: string | null;
  readonly ready: string | null;
}

const keptDays = 7;
const keptCount = 1_000;
const messageLengthMax = 2_000;

/** @param shiftMs How far ahead of the database's own time this runs: for tests. */
export function createScheduleStore(database: Database, shiftMs: () => number = () => 0): ScheduleStore {
  const schedules = sql.id(database.schema, "plinth_schedules");
  const ticks = sql.id(database.schema, "plinth_ticks");
  // Whole milliseconds, as JavaScript's dates: what was written is found again.
  const now = () => sql`date_trunc('milliseconds', clock_timestamp() + ${shiftMs()}::float8 * interval '1 ms')`;
  const at = (ms: number) => sql`${new Date(ms).toISOString()}::text::timestamptz`;
  const toMs = (column: string) => sql`(extract(epoch from ${sql.unsafe(column)}) * 1000)::float8::text`;
  const claimed = (tick: ClaimedTick) => sql`
    schedule = ${tick.schedule} and scheduled_at = ${at(tick.tickMs)} and state = 'open'
    and attempts = ${tick.attempt}::int and epoch = ${tick.epoch}::text::bigint`;
  const failed = (failure: PlinthError) => sql`
    error_reason = ${failure.reason}, error_message = ${textOf(failure)}`;

  return {
    async register(plans, changed) {
      for (const { name, times } of plans) {
        await database.sql`
          insert into ${schedules} as s (name, definition, last_tick) values (${name}, ${times.definition}, ${now()})
          on conflict (name) do update set seen_at = clock_timestamp(),
            definition = case when ${changed === "restart"}::boolean then excluded.definition else s.definition end,
            last_tick = case when ${changed === "restart"}::boolean and s.definition <> excluded.definition
              then greatest(s.last_tick, excluded.last_tick) else s.last_tick end`;
      }
    },
    async look(names) {
      const rows = await database.sql<LookRow>`
        select ${toMs("clock.now")} as now, s.name, s.definition, ${toMs("s.last_tick")} as last,
          ${toMs("t.scheduled_at")} as tick, t.attempts, t.epoch::text as epoch, ${toMs("t.ready_at")} as ready
        from (select ${now()} as now) clock, ${schedules} s
        left join lateral (
          select scheduled_at, attempts, epoch, ready_at from ${ticks}
          where schedule = s.name and state = 'open' order by scheduled_at limit 1
        ) t on true
        where s.name = any(${names}::text[])`;
      return { nowMs: Number(rows[0]?.now ?? 0), schedules: new Map(rows.map((row) => [row.name, toSchedule(row)])) };
    },
    async open({ name, definition, lastTickMs }, due, epoch) {
      const rows = await database.sql`
        with moved as (
          update ${schedules} set last_tick = ${at(due.lastTickMs)},
            skipped_count = skipped_count + ${due.skippedCount}::int
          where name = ${name} and definition = ${definition} and last_tick = ${at(lastTickMs)} returning name
        )
        insert into ${ticks} (schedule, scheduled_at, attempts, epoch)
        select name, ${at(due.tickMs ?? 0)}, 1, ${epoch}::text::bigint from moved
        where ${due.tickMs !== undefined}::boolean
        on conflict do nothing returning 1 as one`;
      if (rows.length === 0 || due.tickMs === undefined) return undefined;
      return { schedule: name, tickMs: due.tickMs, attempt: 1, epoch };
    },
    async claim(schedule, { tickMs, attempts, epoch: before }, epoch) {
      const seen = { schedule, tickMs, attempt: attempts, epoch: before };
      const rows = await database.sql`
        update ${ticks} set attempts = attempts + 1, epoch = ${epoch}::text::bigint, ready_at = clock_timestamp()
        where ${claimed(seen)} returning 1 as one`;
      return rows.length > 0 ? { schedule, tickMs, attempt: attempts + 1, epoch } : undefined;
    },
    async finish(tx, tick) {
      const rows = await tx.sql`
        update ${ticks} set state = 'done', finished_at = clock_timestamp() where ${claimed(tick)} returning 1 as one`;
      return rows.length > 0;
    },
    async postpone(tick, delayMs, counted, failure) {
      const rows = await database.sql`
        update ${ticks} set attempts = attempts - ${counted ? 0 : 1}::int,
          ready_at = clock_timestamp() + ${delayMs}::float8 * interval '1 ms', ${failed(failure)}
        where ${claimed(tick)} returning 1 as one`;
      return rows.length > 0;
    },
    async fail(tick, failure) {
      const rows = await database.sql`
        update ${ticks} set state = 'failed', finished_at = clock_timestamp(), ${failed(failure)}
        where ${claimed(tick)} returning 1 as one`;
      return rows.length > 0;
    },
    async request(schedule) {
      for (;;) {
        const [row] = await database.sql<{ tick: string }>`
          insert into ${ticks} (schedule, scheduled_at) values (${schedule}, ${now()})
          on conflict do nothing returning ${toMs("scheduled_at")} as tick`;
        // None when there is one of this very millisecond: the next is near.
        if (row) return Number(row.tick);
      }
    },
    async tick(schedule, tickMs) {
      const [row] = await database.sql<{ state: TickState["state"]; attempts: number; reason: string | null }>`
        select state, attempts, error_reason as reason from ${ticks}
        where schedule = ${schedule} and scheduled_at = ${at(tickMs)}`;
      return row && { state: row.state, attempts: row.attempts, reason: row.reason ?? undefined };
    },
    async deleteOld(limit) {
      const old = sql`clock_timestamp() - ${keptDays}::int * interval '1 day'`;
      await database.sql`delete from ${schedules} where seen_at < ${old}`;
      const rows = await database.sql`
        with known as (
          select s.name, (
            select scheduled_at from ${ticks} t where t.schedule = s.name and t.state <> 'open'
            order by scheduled_at desc offset ${keptCount}::int limit 1
          ) as cut from ${schedules} s
        ), gone as (
          select t.schedule, t.scheduled_at from ${ticks} t left join known k on k.name = t.schedule
          where (t.state <> 'open' and (t.finished_at < ${old} or t.scheduled_at <= k.cut))
            or (k.name is null and t.scheduled_at < ${old})
          limit ${limit}::int
        )
        delete from ${ticks} t using gone g
        where t.schedule = g.schedule and t.scheduled_at = g.scheduled_at returning 1 as one`;
      return rows.length;
    },
  };
}

function toSchedule(row: LookRow): ScheduleRow {
  const { name, definition, last, tick, attempts, epoch, ready } = row;
  const open = tick === null ? undefined : { tickMs: Number(tick), attempts: attempts ?? 0, epoch: epoch ?? "0" };
  return { name, definition, lastTickMs: Number(last), open: open && { ...open, readyMs: Number(ready ?? 0) } };
}

/** For operators, so with the original message of a foreign error. NUL is no character for a database. */
function textOf({ message, cause }: PlinthError): string {
  const text = cause instanceof Error ? `${message} (${cause.name}: ${cause.message})` : message;
  return text.replaceAll("\0", "\ufffd").slice(0, messageLengthMax);
}
