import type { PendingMigrations } from "../app/index.ts";
import type { PlannedStep } from "../database/index.ts";
import { blockedBy } from "../database/index.ts";
import type { Screen } from "./terminal.ts";

/** What a person should know before the pending steps run: which locks they take, and what the lint found. */
export function findingsText(pending: readonly PendingMigrations[], screen: Screen): string {
  const steps = pending.flatMap(({ service, steps }) => steps.map((step) => ({ service, step })));
  const locks = steps.flatMap(({ service, step }) => locksOf(service, step));
  const findings = steps.flatMap(({ step }) => findingsOf(step, screen));
  const parts = [locks.length > 0 ? ["Locks on tables that are there:", ...locks] : [], findings];
  return parts.map((lines) => (lines.length > 0 ? `\n${lines.join("\n")}\n` : "")).join("");
}

export function hasErrors(pending: readonly PendingMigrations[]): boolean {
  return pending.some(({ steps }) => steps.some(({ findings }) => findings.some(({ level }) => level === "error")));
}

function locksOf(service: string, { name, locks, transactional }: PlannedStep): string[] {
  const until = transactional ? "until the step ends" : "until the statement ends";
  return locks
    .filter(({ lock }) => blockedBy(lock) !== "nothing")
    .map(({ table, lock }) => `  ${service}/${name}: ${table}, ${lock}, stops ${blockedBy(lock)} ${until}`);
}

function findingsOf({ where, findings }: PlannedStep, screen: Screen): string[] {
  return findings.flatMap(({ rule, level, line, table, why, remedy }) => [
    `${screen.style(level === "error" ? "red" : "yellow", level)}: ${where}:${line} [${rule}]${table ? ` ${table}:` : ""} ${why}`,
    `  ${remedy}`,
  ]);
}
