import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { StartError } from "../base/index.ts";
import { isTransactionControl, splitStatements } from "./statements.ts";
import type { Transaction } from "./transaction.ts";

/**
 * One step of a schema, forward only: `NNNN-name`, numbered from 1 without gaps. What was applied once is history:
 * to change it, add the next step.
 *
 * SQL runs in one transaction with its record, unless its first lines say `-- plinth: no-transaction`, for statements
 * that PostgreSQL takes only outside of one (`create index concurrently`). Those run one by one, and again from the
 * first when they failed halfway: write `if not exists`. A `run` step gets the transaction; its checksum is of its name
 * and `version`, since the text of a function changes with every build.
 */
export type Migration =
  | { readonly name: string; readonly sql: string }
  | { readonly name: string; readonly run: (tx: Transaction) => Promise<void>; readonly version?: string };

/** A folder of `NNNN-name.sql` files, or the steps themselves. */
export type MigrationSource = URL | readonly Migration[];

/** A step that was read and found well-formed. */
export interface Step {
  readonly number: number;
  readonly name: string;
  /** Where a person finds it: a path, or "0001-products (in code)". */
  readonly where: string;
  readonly checksum: string;
  readonly transactional: boolean;
  readonly statements: readonly string[];
  /** The file as it stands, with `\n` at the ends of lines; empty for a step in code. */
  readonly text: string;
  readonly run: ((tx: Transaction) => Promise<void>) | undefined;
}

/** Reads and checks every step. StartError names each file that is wrong, and what to do. */
export async function readMigrations(source: MigrationSource): Promise<readonly Step[]> {
  const found =
    source instanceof URL
      ? await readFolder(source)
      : source.map((migration) => ({ migration, where: `${migration.name} (in code)` }));
  const problems: string[] = [];
  const steps: Step[] = [];
  for (const { migration, where } of found) {
    const number = numberOf(migration.name);
    if (number === undefined) {
      problems.push(
        `migration ${where}: name it NNNN-what-it-does${source instanceof URL ? ".sql" : ""}, such as 0001-products`,
      );
      continue;
    }
    const step = toStep(migration, number, where);
    for (const statement of step.transactional ? step.statements : []) {
      if (!isTransactionControl(statement)) continue;
      problems.push(
        `migration ${where}: leave out "${statement.slice(0, 40)}": each file runs in a transaction of its own`,
      );
    }
    steps.push(step);
  }
  steps.sort((a, b) => a.number - b.number);
  steps.forEach((step, i) => {
    const previous = steps[i - 1];
    if (previous?.number === step.number) {
      problems.push(
        `migrations ${previous.where} and ${step.where} have the same number: give the later one the next free number`,
      );
    } else if (step.number !== (previous?.number ?? 0) + 1) {
      const missing = String((previous?.number ?? 0) + 1).padStart(4, "0");
      problems.push(`migration ${step.where}: there is no number ${missing} before it: number from 0001 without gaps`);
    }
  });
  if (problems.length > 0) throw new StartError("MIGRATIONS_INVALID", problems);
  return steps;
}

function numberOf(name: string): number | undefined {
  const match = /^(\d{4,})[-_][A-Za-z0-9][A-Za-z0-9_-]*$/.exec(name);
  return match ? Number(match[1]) : undefined;
}

async function readFolder(folder: URL): Promise<{ migration: Migration; where: string }[]> {
  const base = folder.href.endsWith("/") ? folder : new URL(`${folder.href}/`);
  let files: string[];
  try {
    files = (await readdir(base)).filter((file) => file.endsWith(".sql")).sort();
  } catch (thrown) {
    throw new StartError(
      "MIGRATIONS_INVALID",
      `migrations: cannot read the folder ${fileURLToPath(base)}: create it, or correct the URL`,
      {
        cause: thrown,
      },
    );
  }
  return Promise.all(
    files.map(async (file) => {
      const url = new URL(encodeURIComponent(file), base);
      return { migration: { name: file.slice(0, -4), sql: await readFile(url, "utf8") }, where: fileURLToPath(url) };
    }),
  );
}

function toStep(migration: Migration, number: number, where: string): Step {
  const { name } = migration;
  if ("run" in migration) {
    const checksum = sha256(`${name}\n${migration.version ?? ""}`);
    return { number, name, where, checksum, transactional: true, statements: [], text: "", run: migration.run };
  }
  // A checkout with other line ends is the same file.
  const text = migration.sql.replaceAll("\r\n", "\n");
  const head = /^(?:\s*--[^\n]*(?:\n|$))*/.exec(text)?.[0] ?? "";
  const transactional = !/^\s*--\s*plinth:\s*no[- ]transaction\s*$/m.test(head);
  return {
    number,
    name,
    where,
    checksum: sha256(text),
    transactional,
    statements: splitStatements(text),
    text,
    run: undefined,
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
