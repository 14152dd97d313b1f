import { type Goal, goalsOf } from "./goals.ts";
import type { Result } from "./report.ts";

/**
 * Why goals of a bench are not reached, and what was tried: `results/NAME.whys.md`, beside the record that it speaks of. A
 * heading is what the names of the goals have in common, as in `## plinth to nginx`. Shown by `npm run bench -- --render`
 * while one of those goals is not reached.
 */
export interface Whys {
  /** The day on which they were written, or last read beside a record. */
  readonly date: string;
  readonly reasons: Readonly<Record<string, string>>;
}

export function parseWhys(text: string): Whys {
  const [first = "", ...sections] = text.split(/^## /m);
  const [, date] = /^Written (\d{4}-\d\d-\d\d)\.\s*$/.exec(first) ?? [];
  if (date === undefined) throw new Error('why goals are not reached: the first line has to be "Written YYYY-MM-DD."');
  return { date, reasons: Object.fromEntries(sections.map(toReason)) };
}

function toReason(section: string): [name: string, reason: string] {
  const [name = "", ...lines] = section.trim().split("\n");
  return [name.trim(), lines.join("\n").trim().replace(/\s+/g, " ")];
}

/** Of a bench's goals that are not reached, those that a heading speaks of. */
export function isMissed(name: string, goals: readonly Goal[]): boolean {
  return goals.some(({ what, isReached }) => !isReached && what.includes(name));
}

/** What a new record leaves to do: goals that are missed without a word, words on none that is, and words from before it. */
export function faultsOf(
  result: Pick<Result, "tables" | "goals" | "machine">,
  whys: Whys | undefined,
): readonly string[] {
  const goals = goalsOf(result);
  const { date, reasons = {} } = whys ?? {};
  const { date: taken } = result.machine;
  const names = Object.keys(reasons);
  const unexplained = goals.filter(({ what, isReached }) => !isReached && !names.some((name) => what.includes(name)));
  return [
    ...unexplained.map(({ what }) => `"${what}" is not reached, and no heading speaks of it`),
    ...names.filter((name) => !isMissed(name, goals)).map((name) => faultOf(name, goals)),
    ...names.filter((name) => reasons[name] === "").map((name) => `"${name}" has no text`),
    ...(date !== undefined && date < taken
      ? [`written ${date}, before the record of ${taken}: read it beside that`]
      : []),
  ];
}

function faultOf(name: string, goals: readonly Goal[]): string {
  const isKnown = goals.some(({ what }) => what.includes(name));
  return isKnown ? `"${name}" speaks only of goals that are reached: delete it` : `"${name}" is in no goal's name`;
}
