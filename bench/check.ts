import type { Result } from "./report.ts";
import type { Row, Spread, Table } from "./rounds.ts";

/** What is not as it was when the numbers were committed. */
export interface Move {
  /** `"edge, GET, plinth, per second"` */
  readonly what: string;
  readonly before: Spread;
  readonly now: number;
  /** Below the lowest round, or above the highest, of the run that was committed. */
  readonly kind: "fell" | "rose" | "within";
}

/** Compares the ratios of a short run with those that were committed, row by row. */
export function compareResults(name: string, before: Result, now: Pick<Result, "tables">): readonly Move[] {
  return now.tables.flatMap((table) => {
    const old = before.tables.find((each) => each.name === table.name);
    return old ? compareTables(`${name}, ${table.name}`, old, table) : [];
  });
}

function compareTables(name: string, before: Table, now: Table): readonly Move[] {
  return now.rows.flatMap((row) => {
    const old = before.rows.find((each) => each.candidate === row.candidate);
    return old && row.candidate !== now.reference && before.reference === now.reference
      ? compareRows(`${name}, ${row.candidate}`, old, row)
      : [];
  });
}

function compareRows(name: string, before: Row, now: Row): readonly Move[] {
  const moves = [moveOf(`${name}, per second`, before.ratio, now.ratio.median)];
  if (before.cpuRatio && now.cpuRatio)
    moves.push(moveOf(`${name}, by processor time`, before.cpuRatio, now.cpuRatio.median));
  return moves;
}

function moveOf(what: string, before: Spread, now: number): Move {
  return { what, before, now, kind: now < before.min ? "fell" : now > before.max ? "rose" : "within" };
}

export function renderMove({ what, before, now, kind }: Move): string {
  const by = (100 * (now / before.median - 1)).toFixed(0);
  const { median, min, max } = before;
  return `${kind.padEnd(6)} ${what}: ${now.toFixed(2)}, was ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)}), ${now < before.median ? "" : "+"}${by} %`;
}
