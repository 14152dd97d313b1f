import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { Term, Verdict } from "../../src/verify/index.ts";
import { checkLeader, checkTicks } from "../../src/verify/index.ts";

/** Writes down, in the database and by its clock, who holds the lease and until when, at each change of its row. */
export async function recordLeases(server: TestPostgres): Promise<void> {
  await server.adminQuery(`
    create table clockwork.lease_record (
      id bigint generated always as identity primary key,
      owner text, epoch bigint, at timestamptz not null default clock_timestamp(), until timestamptz
    );
    create function clockwork.record_lease() returns trigger language plpgsql as $$
      begin
        insert into clockwork.lease_record (owner, epoch, until) values (new.owner, new.epoch, new.expires_at);
        return new;
      end $$;
    insert into clockwork.lease_record (owner, epoch, until)
      select owner, epoch, expires_at from clockwork.plinth_leases where name = 'schedules';
    create trigger record_lease after insert or update on clockwork.plinth_leases
      for each row when (new.name = 'schedules') execute function clockwork.record_lease();
  `);
}

export async function countTicks(server: TestPostgres): Promise<number> {
  const [row] = await server.adminQuery<{ count: number }>(
    "select count(distinct tick)::int as count from clockwork.effects",
  );
  return row?.count ?? 0;
}

/** Whether the latest tick is of now, so that none waits to be run. */
export async function isUpToDate(server: TestPostgres): Promise<boolean> {
  const [row] = await server.adminQuery<{ done: boolean }>(
    "select max(tick) > now() - interval '2 seconds' as done from clockwork.effects",
  );
  return row?.done === true;
}

/** Whether a session of the app waits within a transaction that holds the lease: a tick is half done. */
export async function hasOpenTick(server: TestPostgres): Promise<boolean> {
  const rows = await server.adminQuery(`
    select 1 from pg_stat_activity
    where state = 'idle in transaction' and query like '%insert into effects%'`);
  return rows.length > 0;
}

export interface Judged {
  readonly ticks: Verdict;
  readonly leader: Verdict;
  readonly failed: number;
  /** Ticks that needed more than one attempt. */
  readonly repeated: number;
}

export async function judge(server: TestPostgres, everyMs: number): Promise<Judged> {
  // Within the transaction of its effect a tick names the epoch that it ran under; their order is that of the row lock.
  const effects = await server.adminQuery<{ due: string; epoch: string }>(`
    select (extract(epoch from e.tick) * 1000)::bigint::text as due, t.epoch::text as epoch
    from clockwork.effects e join clockwork.plinth_ticks t on t.schedule = 'strike' and t.scheduled_at = e.tick
    order by e.id`);
  const [over] = await server.adminQuery<{ failed: number; repeated: number }>(`
    select count(*) filter (where state = 'failed')::int as failed, count(*) filter (where attempts > 1)::int as repeated
    from clockwork.plinth_ticks`);
  const runs = effects.map(({ due }) => ({ job: "strike", dueAt: Number(due) }));
  const times = runs.map(({ dueAt }) => dueAt);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const length = times.length === 0 ? 0 : (last - first) / everyMs + 1;
  const expected = Array.from({ length }, (_, i) => ({ job: "strike", dueAt: first + i * everyMs }));
  const terms = await termsOf(server);
  return {
    ticks: checkTicks({ runs, expected }),
    leader: checkLeader({ terms, effectEpochs: effects.map(({ epoch }) => Number(epoch)) }),
    failed: over?.failed ?? 0,
    repeated: over?.repeated ?? 0,
  };
}

/** By the last row of each holding: it may have been prolonged, or given back early. */
async function termsOf(server: TestPostgres): Promise<Term[]> {
  const rows = await server.adminQuery<{ owner: string; epoch: string; from: string; until: string }>(`
    select owner, epoch::text as epoch,
      (extract(epoch from min(at)) * 1000)::float8::text as from,
      (array_agg((extract(epoch from until) * 1000)::float8::text order by id desc))[1] as until
    from clockwork.lease_record group by owner, epoch`);
  return rows.map((row) => ({
    owner: row.owner,
    epoch: Number(row.epoch),
    from: Number(row.from),
    until: Number(row.until),
  }));
}
