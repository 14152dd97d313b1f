import type { Act } from "./lint-acts.ts";

export interface LintRule {
  readonly id: string;
  readonly level: "error" | "warning";
  readonly why: string;
  readonly remedy: string;
  /** Absent: another part of the lint finds it. */
  readonly when?: (act: Act, place: LintPlace) => boolean;
}

/** Where an act stands. */
export interface LintPlace {
  readonly transactional: boolean;
  /** The table, or whatever it is about, was there before the steps that are pending. */
  readonly existing: boolean;
  /** A validated check says that the column holds no null. */
  readonly knownNotNull: boolean;
  /** The constraint was added in this very step. */
  readonly addedHere: boolean;
}

const has = (act: Act, flag: string): boolean => act.is?.includes(flag) ?? false;
const expandContract =
  "Expand, then contract: add the new one, write both, let every process of the old version end, and drop the old one in a later release.";
const ownFile = "Put it into a file of its own that begins with `-- plinth: no-transaction`";

/** Every rule, as data. `allow` comments name them by id. */
export const lintRules: readonly LintRule[] = [
  {
    id: "syntax",
    level: "error",
    why: "PostgreSQL's own parser does not take it.",
    remedy: "Correct the statement.",
  },
  {
    id: "create-index",
    level: "error",
    why: "Building the index stops all writes to the table until it is done.",
    remedy: `${ownFile}: create index concurrently if not exists NAME on …`,
    when: (act, { existing }) => act.kind === "create index" && existing && !has(act, "concurrent"),
  },
  {
    id: "drop-index",
    level: "warning",
    why: "Dropping an index waits for every query on its table, and stops all that come after.",
    remedy: `${ownFile}: drop index concurrently if exists NAME`,
    when: (act, { existing }) => act.kind === "drop index" && existing && !has(act, "concurrent"),
  },
  {
    id: "outside-transaction",
    level: "error",
    why: "PostgreSQL takes this statement only outside of a transaction, and each step runs in one.",
    remedy: `${ownFile}.`,
    when: (act, { transactional }) => act.alone === true && transactional,
  },
  {
    id: "repeatable",
    level: "error",
    why: "A step without a transaction that fails halfway runs again from its first statement.",
    remedy: "Write `if not exists` or `if exists`, and give an index its name.",
    when: (act, { transactional }) =>
      !transactional &&
      /^(?:create|drop|add enum)/.test(act.kind) &&
      !/trigger|partition/.test(act.kind) &&
      !has(act, "repeatable"),
  },
  {
    id: "volatile-default",
    level: "error",
    why: "The default may differ from row to row, so the whole table is written again while nobody can read it.",
    remedy: "Add the column without it, set the default in the next statement, and fill old rows in batches.",
    when: (act, { existing }) => act.kind === "add column" && existing && has(act, "volatile"),
  },
  {
    id: "not-null-column",
    level: "error",
    why: "A column that must not be null and has no default cannot be added to a table with rows, and the running version does not write it.",
    remedy: "Give it a constant default, or add it as nullable, fill it, and set not null in a later release.",
    when: (act, { existing }) => act.kind === "add column" && existing && has(act, "not null") && !has(act, "default"),
  },
  {
    id: "column-type",
    level: "error",
    why: "Changing a column's type writes the whole table again while nobody can read it, and the running version expects the old type.",
    remedy: expandContract,
    when: (act, { existing }) => act.kind === "column type" && existing,
  },
  {
    id: "set-not-null",
    level: "error",
    why: "PostgreSQL reads the whole table while nobody else can.",
    remedy:
      "First: add constraint NAME check (COLUMN is not null) not valid. In the next step: validate constraint NAME. Then set not null, which is instant.",
    when: (act, { existing, knownNotNull }) =>
      act.kind === "set not null" && existing && !knownNotNull && !has(act, "ready"),
  },
  {
    id: "drop-not-null",
    level: "warning",
    why: "The running version may not expect null in this column.",
    remedy: "Release a version that reads null first.",
    when: (act, { existing }) => act.kind === "drop not null" && existing,
  },
  {
    id: "foreign-key",
    level: "error",
    why: "Checking the rows that are there stops writes to both tables until it is done.",
    remedy:
      "Add it with `not valid`, and in the next step: alter table … validate constraint NAME, which lets writes go on.",
    when: (act, { existing }) => act.kind === "add foreign key" && existing && has(act, "valid"),
  },
  {
    id: "check",
    level: "error",
    why: "Checking the rows that are there stops reads and writes of the table until it is done.",
    remedy:
      "Add it with `not valid`, and in the next step: alter table … validate constraint NAME, which lets both go on.",
    when: (act, { existing }) => act.kind === "add check" && existing && has(act, "valid"),
  },
  {
    id: "validate-apart",
    level: "error",
    why: "In the transaction that added the constraint, the lock of adding it is held while the rows are checked.",
    remedy: "Move `validate constraint` into the next step.",
    when: (act, { existing, transactional, addedHere }) =>
      act.kind === "validate" && existing && transactional && addedHere,
  },
  {
    id: "unique",
    level: "error",
    why: "Building the constraint's index stops reads and writes of the table until it is done.",
    remedy:
      "First create unique index concurrently in a step of its own, then: add constraint NAME unique using index INDEX.",
    when: (act, { existing }) => act.kind === "add unique" && existing && !has(act, "ready"),
  },
  {
    id: "drop-column",
    level: "error",
    why: "The running version still reads or writes the column.",
    remedy: "Release a version that does not use it first, then allow this rule with that release as the reason.",
    when: (act, { existing }) => act.kind === "drop column" && existing,
  },
  {
    id: "drop-table",
    level: "error",
    why: "The running version may still use it, and its data is gone.",
    remedy: "Release a version that does not use it first, then allow this rule with that release as the reason.",
    when: (act, { existing }) => (act.kind === "drop table" && existing) || act.kind === "drop schema",
  },
  {
    id: "drop-view",
    level: "warning",
    why: "The running version may still read it.",
    remedy: "Use create or replace view, or release a version that does not read it first.",
    when: (act, { existing }) => act.kind === "drop view" && existing,
  },
  {
    id: "drop-type",
    level: "error",
    why: "The running version may still name it, and with `cascade` every column of it goes, with its data.",
    remedy: "Release a version that does not use it first, then allow this rule with that release as the reason.",
    when: (act, { existing }) => act.kind === "drop type" && existing,
  },
  {
    id: "drop-function",
    level: "warning",
    why: "The running version may still call it.",
    remedy: "Use create or replace function, or release a version that does not call it first.",
    when: (act, { existing }) => act.kind === "drop function" && existing,
  },
  {
    id: "rename-column",
    level: "error",
    why: "The running version uses the old name.",
    remedy: expandContract,
    when: (act, { existing }) => act.kind === "rename column" && existing,
  },
  {
    id: "rename-table",
    level: "error",
    why: "The running version uses the old name.",
    remedy:
      "Rename it and make a view with the old name in the same step, and allow this rule with that as the reason; drop the view in a later release.",
    when: (act, { existing }) => act.kind === "rename table" && existing,
  },
  {
    id: "rename-object",
    level: "error",
    why: "The running version uses the old name of the view, type, function or sequence.",
    remedy: expandContract,
    when: (act, { existing }) => act.kind === "rename object" && existing,
  },
  {
    id: "rename-enum-value",
    level: "error",
    why: "The running version writes and compares the old value, and PostgreSQL refuses it from then on.",
    remedy: expandContract,
    when: (act, { existing }) => act.kind === "rename enum value" && existing,
  },
  {
    id: "domain-check",
    level: "error",
    why: "Checking the rows of each table with a column of this domain stops the writes to all of them until it is done.",
    remedy: "Add the constraint with `not valid`, and validate it in a later step, when writes may wait.",
    when: (act, { existing }) => act.kind === "domain check" && existing,
  },
  {
    id: "rewrite",
    level: "error",
    why: "The whole table is written again while nobody can read it.",
    remedy: "Leave it to autovacuum, or use pg_repack outside of migrations; refresh a materialized view concurrently.",
    when: (act, { existing }) => act.kind === "rewrite" && existing,
  },
  {
    id: "reindex",
    level: "error",
    why: "Rebuilding an index stops writes to its table until it is done.",
    remedy: `${ownFile}: reindex … concurrently`,
    when: (act, { existing }) => act.kind === "reindex" && existing && !has(act, "concurrent"),
  },
  {
    id: "lock-table",
    level: "error",
    why: "An explicit lock holds off writers, or everybody, until the step ends.",
    remedy: "Leave it out, or take a weaker lock on the rows that matter.",
    when: (act, { existing }) =>
      act.kind === "lock table" &&
      existing &&
      /^(?:SHARE|SHARE ROW EXCLUSIVE|EXCLUSIVE|ACCESS EXCLUSIVE)$/.test(act.lock ?? ""),
  },
  {
    id: "all-rows",
    level: "error",
    why: "Changing every row in one statement holds a lock on each until the step ends, and doubles the table's size.",
    remedy: "Change them in batches from the application or a scheduled job, or say which rows with where.",
    when: (act, { existing }) => (act.kind === "update" || act.kind === "delete") && existing && !has(act, "where"),
  },
  {
    id: "truncate",
    level: "error",
    why: "It deletes every row, and waits for every reader of the table while stopping all that come after.",
    remedy: "Delete in batches, or allow this rule with why the rows may go.",
    when: (act, { existing }) => act.kind === "truncate" && existing,
  },
  {
    id: "disable-trigger",
    level: "error",
    why: "What other processes write meanwhile escapes the trigger, foreign keys among them.",
    remedy: "Make the trigger's function return early for this work, by a setting that is local to the transaction.",
    when: (act, { existing }) => act.kind === "disable trigger" && existing,
  },
  {
    id: "enum-value",
    level: "warning",
    why: "In the transaction that adds it the new value cannot be used, and it can never be taken away.",
    remedy: `${ownFile}: alter type … add value if not exists …; or use text with a check.`,
    when: (act, { transactional }) => act.kind === "add enum value" && transactional,
  },
  {
    id: "several-tables",
    level: "warning",
    why: "The step holds several tables against everybody until its end, and can deadlock with transactions that use them in another order.",
    remedy: "One table to a step.",
  },
  {
    id: "allow-without-reason",
    level: "error",
    why: "An exception that nobody can explain cannot be reviewed.",
    remedy: "Write, before the statement: -- plinth-lint: allow RULE because REASON",
  },
  {
    id: "allow-unused",
    level: "warning",
    why: "Nothing in the statement that follows needs the exception.",
    remedy: "Take the comment out, or put it on a line before the statement that it is for.",
  },
];
