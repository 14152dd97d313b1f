import type { Bench, BenchOptions } from "./bench.ts";
import { compareResults, differencesOf, type Move, renderMove } from "./moves.ts";
import type { Result } from "./report.ts";

/** What `npm run bench:check` stands on. */
export interface Checking {
  readonly benches: Readonly<Record<string, Bench>>;
  /** What is committed of it. */
  read(name: string): Result | undefined;
  measure(bench: Bench, options: BenchOptions): Promise<Result>;
  say(text: string): void;
  /** ms since the command began, with all that was built before. */
  elapsedMs(): number;
}

/** None begins later: a check that takes three minutes is one that nobody runs. The longest of them takes half a minute. */
const beginMsMax = 130_000;

/**
 * A short run of some rows, beside what is committed. Answers the exit code: 1 when something fell or could not be measured,
 * or when nothing was compared, of one of the benches that it ran or at all.
 */
export async function checkBenches(names: readonly string[], checking: Checking): Promise<0 | 1> {
  const { benches, read, measure, say, elapsedMs } = checking;
  const moves: Move[] = [];
  const remarks: string[] = [];
  const leftOut: string[] = [];
  let failures = 0;
  for (const name of names) {
    const bench = benches[name] as Bench;
    const before = read(name);
    const reason = reasonToSkip(bench, before) ?? (elapsedMs() > beginMsMax ? "the time is up" : undefined);
    if (reason !== undefined || !before || !bench.check) {
      leftOut.push(`${name} (${reason})`);
      continue;
    }
    const result = await measure(bench, { ...bench.check, say }).catch((thrown: unknown) => {
      remarks.push(`${name} could not be measured: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      failures++;
    });
    if (!result) continue;
    const own = compareResults(name, before, result);
    const problem = nothingOf(own);
    if (problem !== undefined) {
      remarks.push(`${name}: ${problem}`);
      failures++;
    }
    moves.push(...own);
    remarks.push(...differencesOf(before.machine, result.machine).map((each) => `${name}: ${each}`));
  }
  say([...moves.map(renderMove), "", ...remarks, verdictOf(moves, leftOut)].join("\n"));
  return failures > 0 || moves.length === 0 || moves.some(({ kind }) => kind === "fell") ? 1 : 0;
}

function reasonToSkip({ check }: Bench, before: Result | undefined): string | undefined {
  if (!check) return "it takes no part";
  return before ? check.lacks?.() : "nothing of it is committed";
}

/** Why a bench that was measured tells nothing at all. One ratio of several that is blind does not say so. */
function nothingOf(moves: readonly Move[]): string | undefined {
  if (moves.length === 0) return "what is committed has none of these rows; record it anew";
  if (moves.some(({ kind }) => kind !== "blind")) return undefined;
  return `all of its ${moves.length} ratios are blind, so nothing was compared; try again on a quieter machine`;
}

function verdictOf(moves: readonly Move[], leftOut: readonly string[]): string {
  const count = (wanted: Move["kind"]) => moves.filter(({ kind }) => kind === wanted).length;
  const all = `${moves.length} ratios compared with bench/results: ${count("fell")} fell, ${count("rose")} rose`;
  const missing = leftOut.length === 0 ? "" : `; left out: ${leftOut.join(", ")}`;
  return `${all}; of ${count("blind")} nothing can be said, for their rounds lie too far apart${missing}`;
}
