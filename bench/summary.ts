import { type Goal, goalsOf, renderGoal } from "./goals.ts";
import { renderCells } from "./markdown-table.ts";
import type { Kept, Result } from "./report.ts";

/** Of all benches: how many goals were asked and are reached, and each that is not. */
export function renderSummary(all: readonly Kept[]): string {
  const asked = all.map(({ result }) => ({ result, goals: goalsOf(result) })).filter(({ goals }) => goals.length > 0);
  const missed = asked.flatMap(({ result }) => missedOf(result));
  const rows = asked.map(({ result, goals }) => [linkTo(result), result.machine.date, shareOf(goals)]);
  rows.push(["all of them", "", `**${shareOf(asked.flatMap(({ goals }) => goals))}**`]);
  return [
    "\n### In short\n",
    renderCells(["bench", "measured on", "goals reached"], rows),
    ...(missed.length > 0
      ? [
          "\nNot reached, by what is done in a second where nothing else is said:\n",
          renderCells(["bench", "goal", "measured", "asked"], missed),
        ]
      : []),
  ].join("\n");
}

/** A line for each, the bench named in the first of its lines. */
function missedOf(result: Result): string[][] {
  const ofTables = result.tables.flatMap((table) =>
    (table.goals ?? []).map((goal) => ({ goal, name: renderGoal(goal, table) })),
  );
  const ofAll = (result.goals ?? []).map((goal) => ({ goal, name: goal.what }));
  return [...ofTables, ...ofAll]
    .filter(({ goal }) => !goal.isReached)
    .map(({ goal, name }, i) => [i === 0 ? linkTo(result) : "", name, goal.measured, goal.wanted]);
}

function shareOf(goals: readonly Goal[]): string {
  return `${goals.filter(({ isReached }) => isReached).length} of ${goals.length}`;
}

/** To its heading on the same page. */
function linkTo({ title }: Result): string {
  return `[${title}](#${title
    .toLowerCase()
    .replace(/[^\w -]/g, "")
    .replaceAll(" ", "-")})`;
}
