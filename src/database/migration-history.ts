import { StartError } from "../base/index.ts";
import type { Database, DatabaseSession } from "./database.ts";
import { databaseDetail } from "./errors.ts";
import type { Step } from "./migration.ts";
import { quoteName, sql } from "./sql.ts";

/** What was applied, and what is left: the checks that every start makes against `plinth_migrations`. */
export interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  readonly applied_at: string;
}

export function tableName(schema: string): string {
  return `${quoteName(schema)}.plinth_migrations`;
}

export async function appliedOf(session: DatabaseSession, set: string): Promise<Applied[]> {
  return session.sql<Applied>`select number, name, checksum, applied_at from plinth_migrations where set = ${set} order by number`;
}

/** The same without a lock; undefined where the schema is not prepared, or nothing was applied. */
export async function readApplied(database: Database, set: string): Promise<readonly Applied[] | undefined> {
  const { schema } = database;
  const commits = `${quoteName(schema)}.plinth_commits`;
  try {
    const rows = await database.sql<Applied & { prepared: boolean }>`
      select number, name, checksum, applied_at, to_regclass(${commits}) is not null as prepared
      from ${sql.id(schema, "plinth_migrations")} where set = ${set} order by number`;
    return rows[0]?.prepared ? rows : undefined;
  } catch (thrown) {
    // The schema, or the table in it, is made by the first migration.
    if (/^(?:42P01|3F000)$/.test(databaseDetail(thrown)?.sqlState ?? "")) return undefined;
    throw thrown;
  }
}

export function pendingOf(
  steps: readonly Step[],
  applied: readonly Applied[],
  ahead: "refuse" | "allow",
  { schema, flags }: Pick<Database, "schema" | "flags">,
): readonly Step[] {
  const embedded = !flags.multipleProcesses;
  const problems: { reason: string; text: string }[] = [];
  // The remedy for production is not the one for an afternoon of trying things out.
  const startAfresh = embedded
    ? "; or, if the data may be lost, delete the folder of the embedded database (.plinth/database)"
    : "";
  const byNumber = new Map(steps.map((step) => [step.number, step]));
  for (const row of applied) {
    const step = byNumber.get(row.number);
    const when = `applied to schema ${schema} at ${row.applied_at}`;
    if (!step || step.name !== row.name) {
      if (!step && row.number > steps.length && ahead === "allow") continue;
      const found = step ? `; ${step.where} has its number` : "";
      const text = `migration ${row.name} was ${when}, and its file is missing${found}: restore it from version control${startAfresh}`;
      problems.push({ reason: "MIGRATION_MISSING", text });
    } else if (step.checksum !== row.checksum) {
      const text = `migration ${step.where} was edited after it was ${when}: undo the edit, and put the change into a new migration${startAfresh}`;
      problems.push({ reason: "MIGRATION_EDITED", text });
    }
  }
  const [first] = problems;
  if (first)
    throw new StartError(
      first.reason,
      problems.map(({ text }) => text),
    );
  const highest = applied.at(-1)?.number ?? 0;
  return steps.filter(({ number }) => number > highest);
}
