import type { Goal } from "./goals.ts";
import type { Kept, Result } from "./report.ts";

/** Of all benches: how many goals were asked and are reached, and each that is not. */
export function renderSummary(all: readonly Kept[]): string {
  const rows = all.flatMap(({ result }) => {
    const goals = goalsOf(result);
    const missed = goals.filter(({ isReached }) => !isReached);
    if (goals.length === 0) return [];
    return [
      [result.title, `${goals.length - missed.length} of ${goals.length}`, missed.map(renderMissed).join("<br>")],
    ];
  });
  const lines = [["", "goals reached", "not reached: measured, asked"], ["---", "---", "---"], ...rows];
  return `\n### In short\n\n${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}`;
}

/** Those of its tables, and those of the whole. */
export function goalsOf({ tables, goals = [] }: Pick<Result, "tables" | "goals">): Goal[] {
  return [...tables.flatMap((table) => table.goals ?? []), ...goals];
}

function renderMissed({ what, measured, wanted }: Goal): string {
  return `${what}: ${measured}, ${wanted}`;
}
