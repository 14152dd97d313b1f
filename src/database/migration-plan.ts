import type { Database } from "./database.ts";
import type { LintedStep } from "./lint.ts";
import { lintSteps } from "./lint.ts";
import type { MigrateOptions, MigrationState } from "./migrate.ts";
import type { MigrationSource, Step } from "./migration.ts";
import { readMigrations } from "./migration.ts";
import { appliedOf, pendingOf, tableName } from "./migration-history.ts";

type PlanOptions = Pick<MigrateOptions, "set" | "ahead">;

/** A pending step, with what the lint says about it and the locks that it takes on tables that were there before. */
export interface PlannedStep extends MigrationState, LintedStep {
  /** Where a person finds it. */
  readonly where: string;
  readonly transactional: boolean;
}

/** What `migrate` would apply, and every reason why it would refuse. Changes nothing. */
export async function planMigrations(
  database: Database,
  source: MigrationSource,
  options: PlanOptions = {},
): Promise<readonly MigrationState[]> {
  const { pending } = await plan(database, source, options);
  return pending.map(({ number, name }) => ({ number, name }));
}

/** The same, held against the lint's rules. */
export async function inspectMigrations(
  database: Database,
  source: MigrationSource,
  options: PlanOptions = {},
): Promise<readonly PlannedStep[]> {
  const { steps, pending } = await plan(database, source, options);
  const linted = await lintSteps(steps, { schema: database.schema, isPending: (step) => pending.includes(step) });
  return pending.map(({ number, name, where, transactional }) => {
    const { findings, locks } = linted.get(number) ?? { findings: [], locks: [] };
    return { number, name, where, transactional, findings, locks };
  });
}

async function plan(
  database: Database,
  source: MigrationSource,
  { set = "service", ahead = "refuse" }: PlanOptions,
): Promise<{ steps: readonly Step[]; pending: readonly Step[] }> {
  const steps = await readMigrations(source);
  const [table] = await database.sql<{
    found: string | null;
  }>`select to_regclass(${tableName(database.schema)})::text as found`;
  const applied = table?.found ? await database.session((session) => appliedOf(session, set)) : [];
  return { steps, pending: pendingOf(steps, applied, ahead, database) };
}
