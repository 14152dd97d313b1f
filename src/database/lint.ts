import type { Act, Tree } from "./lint-acts.ts";
import { actsOf } from "./lint-acts.ts";
import type { LockMode } from "./lint-locks.ts";
import { strongest } from "./lint-locks.ts";
import type { LintPlace, LintRule } from "./lint-rules.ts";
import { lintRules } from "./lint-rules.ts";
import type { Step } from "./migration.ts";
import { withoutLeadingComments } from "./statements.ts";

/**
 * Says, before a migration runs, what it would stop: statements that lock a big table for long, or take away what the
 * running version still uses. The text is read by PostgreSQL's own parser (libpg-query, loaded when first needed), and
 * held against `lintRules`.
 *
 * A table that pending steps themselves create is not big and nobody uses it: it is exempt. Whatever an applied step
 * created is taken to be big, and stays so when a pending one creates it `if not exists`. An exception is a comment before
 * the statement that it is for, and for no other; it needs its reason:
 *
 *     -- plinth-lint: allow drop-column because release 41 no longer reads it
 *     alter table item drop column colour;
 *
 * **Not seen**: what a `do` block, a function or a `run` step does, and how many rows a table has.
 */
export interface LintFinding {
  readonly rule: string;
  readonly level: "error" | "warning";
  /** In the step's file, from 1. */
  readonly line: number;
  readonly table: string | undefined;
  readonly why: string;
  readonly remedy: string;
}

/** A lock that a step takes on a table that was there before. */
export interface LintLock {
  readonly table: string;
  readonly lock: LockMode;
}

export interface LintedStep {
  readonly findings: readonly LintFinding[];
  readonly locks: readonly LintLock[];
}

interface Known {
  readonly schema: string;
  /** Made by applied steps, and still there: tables, indexes, views, types, and functions with their brackets. */
  readonly there: Set<string>;
  /** Made by pending steps. */
  readonly made: Set<string>;
  /** `table.column` that a validated check keeps from null. */
  readonly notNull: Set<string>;
  /** Checks that are not validated yet: `table.constraint` to column. */
  readonly unproven: Map<string, string>;
}

/** One answer for each step of `steps` that `isPending`, by its number. The others are read for what they made. */
export async function lintSteps(
  steps: readonly Step[],
  { schema, isPending }: { schema: string; isPending: (step: Step) => boolean },
): Promise<ReadonlyMap<number, LintedStep>> {
  const known: Known = { schema, there: new Set(), made: new Set(), notNull: new Set(), unproven: new Map() };
  const answers = new Map<number, LintedStep>();
  for (const step of steps) {
    if (step.run) {
      if (isPending(step)) answers.set(step.number, { findings: [], locks: [] });
      continue;
    }
    const pending = isPending(step);
    const linted = await lintStep(step, known, pending);
    if (pending) answers.set(step.number, linted);
  }
  return answers;
}

async function lintStep(step: Step, known: Known, pending: boolean): Promise<LintedStep> {
  const text = step.text;
  const allowed = allowancesOf(text);
  const statements = step.statements.length === 0 ? [] : await parse(text);
  if ("line" in statements)
    return { findings: [finding("syntax", statements.line, undefined, statements.message)], locks: [] };
  const found: Found[] = [];
  const locks = new Map<string, LockMode>();
  const addedHere = new Set<string>();
  let several: Pick<Found, "index" | "line"> | undefined;
  for (const [index, { node, line }] of statements.entries()) {
    for (const act of actsOf(node)) {
      const place = placeOf(act, step, known, addedHere);
      for (const rule of lintRules)
        if (rule.when?.(act, place)) found.push({ index, ...finding(rule.id, line, act.table ?? act.name) });
      if (act.table && act.lock && place.existing) locks.set(act.table, strongest(locks.get(act.table), act.lock));
      learn(act, known, addedHere, pending);
    }
    if (several === undefined && heldAgainstAll(locks).length > 1) several = { index, line };
  }
  if (step.transactional && several) {
    const { index, line } = several;
    found.push({ index, ...finding("several-tables", line, heldAgainstAll(locks).join(", ")) });
  }
  return {
    findings: settle(found, allowed, statements),
    locks: [...locks].map(([table, lock]) => ({ table, lock })),
  };
}

/** Of a statement of the step, by its place. */
interface Found extends LintFinding {
  readonly index: number;
}

const heldAgainstAll = (locks: ReadonlyMap<string, LockMode>): string[] =>
  [...locks].filter(([, lock]) => lock === "ACCESS EXCLUSIVE").map(([table]) => table);

const bare = (name: string, { schema }: Known): string =>
  name.startsWith(`${schema}.`) ? name.slice(schema.length + 1) : name;

function placeOf(act: Act, step: Step, known: Known, addedHere: ReadonlySet<string>): LintPlace {
  const subject = act.table ?? act.name;
  const table = bare(act.table ?? "", known);
  return {
    transactional: step.transactional,
    existing: subject === undefined || !known.made.has(bare(subject, known)),
    knownNotNull: known.notNull.has(`${table}.${act.name}`),
    addedHere: addedHere.has(`${table}.${act.name}`),
  };
}

/** What later statements may count on. */
function learn(act: Act, known: Known, addedHere: Set<string>, pending: boolean): void {
  const table = bare(act.table ?? "", known);
  const made = madeBy(act);
  if (made !== undefined) {
    const name = bare(made, known);
    if (!pending) known.there.add(name);
    else if (!known.there.has(name)) known.made.add(name);
  }
  if (/^(?:drop (?:table|index|view|type|function)|rename (?:table|object))$/.test(act.kind)) {
    const name = bare(act.table ?? act.name ?? "", known);
    known.made.delete(name);
    known.there.delete(name);
  }
  if (act.kind === "add check" || act.kind === "add foreign key") addedHere.add(`${table}.${act.name}`);
  if (act.kind === "check not null") {
    const [column, constraint] = (act.name as string).split(" ");
    if (act.is?.includes("valid")) known.notNull.add(`${table}.${column}`);
    else known.unproven.set(`${table}.${constraint}`, `${table}.${column}`);
  }
  if (act.kind === "validate") {
    const proven = known.unproven.get(`${table}.${act.name}`);
    if (proven) known.notNull.add(proven);
  }
}

function madeBy(act: Act): string | undefined {
  if (act.kind === "create table") return act.table;
  return /^(?:create index|new )/.test(act.kind) ? act.name : undefined;
}

interface Allowance {
  readonly rule: string;
  readonly reason: string | undefined;
  readonly line: number;
}

function allowancesOf(text: string): readonly Allowance[] {
  return text.split("\n").flatMap((line, i) => {
    const [, rule, rest = ""] = /--\s*plinth-lint:\s*allow\b[ \t]*([\w-]*)(.*)$/.exec(line) ?? [];
    if (rule === undefined) return [];
    return [{ rule, reason: /^\s*because\s+(\S.*)$/.exec(rest)?.[1], line: i + 1 }];
  });
}

/**
 * Takes out what is allowed, and adds what is wrong with the allowing. In order of lines. An exception is for the first
 * statement that begins below it.
 */
function settle(
  found: readonly Found[],
  allowed: readonly Allowance[],
  statements: readonly Parsed[],
): readonly LintFinding[] {
  const isFor = ({ rule, line }: Allowance, each: Found): boolean =>
    each.rule === rule && each.index === statements.findIndex((statement) => statement.line > line);
  const good = allowed.filter(({ reason }) => reason !== undefined);
  const left: LintFinding[] = found
    .filter((each) => !good.some((allowance) => isFor(allowance, each)))
    .map(({ index, ...each }) => each);
  for (const allowance of allowed) {
    const { rule, reason, line } = allowance;
    if (reason === undefined) left.push(finding("allow-without-reason", line, undefined));
    else if (!byId.has(rule)) left.push(finding("allow-unused", line, undefined, `There is no rule ${rule}.`));
    else if (!found.some((each) => isFor(allowance, each))) left.push(finding("allow-unused", line, undefined));
  }
  return left.sort((one, other) => one.line - other.line);
}

const byId = new Map(lintRules.map((rule) => [rule.id, rule]));

function finding(id: string, line: number, table: string | undefined, why?: string): LintFinding {
  const rule = byId.get(id) as LintRule;
  return { rule: id, level: rule.level, line, table, why: why ?? rule.why, remedy: rule.remedy };
}

interface Parsed {
  readonly node: Tree;
  readonly line: number;
}

/** Every statement with its line, or where the parser stopped. */
async function parse(text: string): Promise<readonly Parsed[] | { readonly line: number; readonly message: string }> {
  const { parse: parseText } = await import("libpg-query");
  const bytes = Buffer.from(text);
  const lineAt = (at: number): number => text.slice(0, at).split("\n").length;
  try {
    const { stmts = [] } = (await parseText(text)) as { stmts?: readonly Tree[] };
    return stmts.map(({ stmt, stmt_location = 0, stmt_len }) => {
      const own = bytes.subarray(stmt_location, stmt_len ? stmt_location + stmt_len : undefined).toString();
      const before = bytes.subarray(0, stmt_location).toString().length;
      return { node: stmt as Tree, line: lineAt(before + own.length - withoutLeadingComments(own).length) };
    });
  } catch (thrown) {
    const { message, sqlDetails } = thrown as { message: string; sqlDetails?: { cursorPosition?: number } };
    return { line: lineAt(sqlDetails?.cursorPosition ?? 0), message: `PostgreSQL's parser: ${message}.` };
  }
}
