import type { Operation } from "../history.ts";
import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export interface RecoveryOptions {
  readonly operations: readonly Pick<Operation, "outcome" | "beganAt">[];
  /** When the fault was over, by the clock of the history. */
  readonly healedAt: number;
  /** From then on nothing may fail. Default 5,000. */
  readonly withinMs?: number;
  /** So many operations must have been tried after that, or nothing is known. Default 10. */
  readonly operationsMin?: number;
}

/** Nothing fails any more, so long after the fault is over. Findings: `failing`. `recoveredMs` is when the last one failed. */
export function checkRecovery({ operations, healedAt, withinMs = 5000, operationsMin = 10 }: RecoveryOptions): Verdict {
  const verdict = createVerdict("recovery");
  const after = operations.filter(({ beganAt }) => beganAt >= healedAt);
  const wrong = after.filter(({ outcome }) => outcome !== "ok");
  const late = after.filter(({ beganAt }) => beganAt >= healedAt + withinMs);
  for (const { beganAt, outcome } of wrong) {
    if (beganAt >= healedAt + withinMs)
      verdict.find("failing", `${beganAt}`, `${outcome} ${Math.round(beganAt - healedAt)} ms after the fault was over`);
  }
  verdict.count(
    "recoveredMs",
    wrong.reduce((most, { beganAt }) => Math.max(most, beganAt - healedAt), 0),
  );
  verdict.count("failedWhileHealing", wrong.length);
  verdict.count("operations", late.length);
  if (late.length < operationsMin) verdict.doubt(`only ${late.length} operations were tried after ${withinMs} ms`);
  return verdict.end();
}
