import type { Clock } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import type { AdvisoryLockOptions } from "./advisory-lock.ts";
import { withAdvisoryLock } from "./advisory-lock.ts";
import { commitKeysText } from "./commit-key.ts";
import type { Database, DatabaseSession } from "./database.ts";
import { databaseDetail } from "./errors.ts";
import { lintSteps } from "./lint.ts";
import type { MigrationSource, Step } from "./migration.ts";
import { readMigrations } from "./migration.ts";
import { appliedOf, pendingOf, readApplied, tableName } from "./migration-history.ts";
import { dropInvalidIndex } from "./migration-leftover.ts";
import { Fragment, quoteName, sql } from "./sql.ts";

export interface MigrateOptions {
  /** Names a second, separate row of steps in the same SQL schema. Default "service". */
  readonly set?: string;
  /**
   * What to do when the database is ahead of these files, by steps with higher numbers: "refuse" (default), or "allow",
   * for an old version that restarts while a new one rolls out.
   */
  readonly ahead?: "refuse" | "allow";
  /** Longest wait for another process that migrates, in ms. Default 120,000. */
  readonly lockTimeoutMs?: number;
  /** Longest statement of a step, in ms. Default 600,000. */
  readonly statementTimeoutMs?: number;
  /** Longest wait of a step for a lock on a table, in ms: beyond it the step fails rather than stop all traffic. Default 10,000. */
  readonly tableLockTimeoutMs?: number;
  /**
   * "refuse": before the first step runs, the pending ones are held against the lint's rules, and errors stop the start
   * (`MIGRATION_UNSAFE`). "off" (default): nothing is looked at. See `lint.ts`.
   */
  readonly lint?: "refuse" | "off";
  readonly clock?: Clock;
}

export interface MigrationState {
  readonly number: number;
  readonly name: string;
}

const settings = {
  set: "service",
  ahead: "refuse",
  lockTimeoutMs: 120_000,
  statementTimeoutMs: 600_000,
  tableLockTimeoutMs: 10_000,
  lint: "off",
} as const;

/**
 * Brings the database's SQL schema to the state of `source`, creating it first. Safe to call from many processes at
 * once: one works, the others wait and find the work done. What it applied comes back, in order.
 *
 * Each step commits with its record in `plinth_migrations`, so a crash leaves whole steps. A step whose file was edited
 * or is missing stops the start (`MIGRATION_EDITED`, `MIGRATION_MISSING`), as does a step that fails
 * (`MIGRATION_FAILED`): the database is then as it was before that step.
 *
 * Through a pooler in transaction mode a session's lock does not hold: without a way past it (`flags.sessionState`) the
 * start is refused (`MIGRATION_POOLED`).
 */
export async function migrate(
  database: Database,
  source: MigrationSource,
  options: MigrateOptions = {},
): Promise<readonly MigrationState[]> {
  const steps = await readMigrations(source);
  const chosen = { ...settings, ...options };
  const work = async (session: DatabaseSession): Promise<readonly MigrationState[]> => {
    const lock = lockOf(database.schema, chosen.lockTimeoutMs, options.clock ?? systemClock);
    return withAdvisoryLock(session, lock, async () => {
      try {
        await prepare(session, database.schema);
        const pending = pendingOf(steps, await appliedOf(session, chosen.set), chosen.ahead, database);
        if (chosen.lint === "refuse") await refuseUnsafe(steps, pending, database.schema);
        await session.sql`select set_config('statement_timeout', ${String(chosen.statementTimeoutMs)}, false)`;
        await session.sql`select set_config('lock_timeout', ${String(chosen.tableLockTimeoutMs)}, false)`;
        for (const step of pending) await apply(session, step, chosen.set, database.schema);
        return pending.map(({ number, name }) => ({ number, name }));
      } finally {
        await session.script("reset statement_timeout; reset lock_timeout").catch(() => session.discard());
      }
    });
  };
  if (!database.flags.sessionState) throw pooled(database.schema);
  if (await isCurrent(database, steps, chosen)) return [];
  return database.session(work, { statementTimeoutMs: chosen.statementTimeoutMs, pinned: true });
}

/**
 * Whether there is nothing to do: one statement, as most starts find it so. What others are doing meanwhile does not matter:
 * a step is recorded when it is done. Throws what `pendingOf` finds wrong.
 */
async function isCurrent(
  database: Database,
  steps: readonly Step[],
  { set, ahead }: { readonly set: string; readonly ahead: "refuse" | "allow" },
): Promise<boolean> {
  const applied = await readApplied(database, set);
  return applied !== undefined && pendingOf(steps, applied, ahead, database).length === 0;
}

async function refuseUnsafe(steps: readonly Step[], pending: readonly Step[], schema: string): Promise<void> {
  const linted = await lintSteps(steps, { schema, isPending: (step) => pending.includes(step) });
  const problems = pending.flatMap((step) =>
    (linted.get(step.number)?.findings ?? [])
      .filter(({ level }) => level === "error")
      .map(({ rule, line, why, remedy }) => `migration ${step.where}:${line} [${rule}] ${why} ${remedy}`),
  );
  if (problems.length === 0) return;
  const how = "An exception is a comment before the statement: -- plinth-lint: allow RULE because REASON";
  throw new StartError("MIGRATION_UNSAFE", [...problems, how]);
}

function pooled(schema: string): StartError {
  return new StartError(
    "MIGRATION_POOLED",
    `migrations of schema ${schema}: they hold a lock of their session, which a pooler in transaction mode does not keep. ` +
      "Add the server's own address to the database's URL, as in ?pooler=transaction&direct=db.internal:5432",
  );
}

function lockOf(schema: string, timeoutMs: number, clock: Clock): AdvisoryLockOptions {
  return {
    key: `plinth.migrate:${schema}`,
    timeoutMs,
    clock,
    tooLate: () =>
      new StartError(
        "MIGRATION_LOCKED",
        `migrations of schema ${schema}: another process has been migrating for ${timeoutMs} ms. Wait for it, or end its ` +
          "session: select pid, query from pg_stat_activity join pg_locks using (pid) where locktype = 'advisory'",
      ),
  };
}

async function prepare(session: DatabaseSession, schema: string): Promise<void> {
  const name = quoteName(schema);
  await session.script(
    `create schema if not exists ${name};
     create table if not exists ${tableName(schema)} (
       set text not null,
       number integer not null,
       name text not null,
       checksum text not null,
       applied_at timestamptz not null default clock_timestamp(),
       primary key (set, number)
     );
     ${commitKeysText(schema)}`,
  );
}

async function apply(session: DatabaseSession, step: Step, set: string, schema: string): Promise<void> {
  const record = sql`insert into plinth_migrations (set, number, name, checksum) values (${set}, ${step.number}, ${step.name}, ${step.checksum})`;
  try {
    if (!step.transactional) {
      for (const statement of step.statements) {
        await dropInvalidIndex(session, schema, statement);
        await session.execute(new Fragment([statement], []));
      }
      await session.execute(record);
      return;
    }
    await session.transaction(
      async (tx) => {
        if (step.run) await step.run(tx);
        else if (step.statements.length > 0) await tx.script(step.statements.join("\n;\n"));
        await tx.execute(record);
      },
      { attempts: 1 },
    );
  } catch (thrown) {
    throw failed(step, schema, thrown);
  }
}

function failed(step: Step, schema: string, thrown: unknown): Error {
  const detail = databaseDetail(thrown);
  const what = detail?.message ?? (thrown instanceof Error ? thrown.message : String(thrown));
  const hint = detail?.hint ? ` (${detail.hint})` : "";
  const left = step.transactional
    ? "Nothing of it was kept"
    : "Statements before the failing one were kept: write it so that it can run again";
  return new StartError(
    "MIGRATION_FAILED",
    `migration ${step.where} failed on schema ${schema}: ${what}${hint}. ${left}; correct it and start again`,
    {
      cause: thrown,
    },
  );
}
