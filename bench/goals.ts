import type { Measured } from "./bench.ts";
import type { Row, Table } from "./rounds.ts";

/** What was asked of a candidate, and what came of it. Rendered below its table. */
export interface Goal {
  /** `"GET, plinth to raw"`: its table, who, and to whom. */
  readonly what: string;
  /** `"at least 0.95"`. */
  readonly wanted: string;
  readonly measured: string;
  readonly isReached: boolean;
}

export interface Wanted {
  readonly candidate: string;
  /** Whom it is compared with; of several, the best. Default: the table's reference. Without meaning for "p99Ms" and "rssMiB". */
  readonly to?: string | readonly string[];
  /** Default "perSecond". "perCpu": how many times as much it does with the same processor time. */
  readonly by?: "perSecond" | "perCpu" | "p99Ms" | "rssMiB";
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Those of its tables, and those of the whole. */
export function goalsOf({ tables, goals = [] }: Pick<Measured, "tables" | "goals">): Goal[] {
  return [...tables.flatMap((table) => table.goals ?? []), ...goals];
}

/** Its name to be read: candidates, which have commas in their names, stand out. */
export function renderGoal({ what }: Pick<Goal, "what">, { name, rows }: Pick<Table, "name" | "rows">): string {
  const isOfTable = what.startsWith(`${name}, `);
  const rest = isOfTable ? what.slice(name.length + 2) : what;
  const longestFirst = rows.map(({ candidate }) => candidate).sort((a, b) => b.length - a.length);
  const names = longestFirst.map((each) => each.replace(/[^\w ,]/g, "\\$&")).join("|");
  const shown = isOfTable ? rest.replace(new RegExp(`(?<!\\w)(?:${names})(?!\\w)`, "g"), "`$&`") : rest;
  return isOfTable ? `${name}: ${shown}` : shown;
}

/** The table with its goals: `judge(table, [{ candidate: "plinth", atLeast: 0.95 }, { candidate: "plinth", by: "p99Ms", atMost: 15 }])`. */
export function judge(table: Table, wanted: readonly Wanted[]): Table {
  const measured = new Set(table.rows.map((row) => row.candidate));
  // Who looks at a few candidates only has no goals of the others.
  const known = wanted.filter(({ candidate, to = [] }) =>
    [candidate, ...[to].flat()].every((each) => measured.has(each)),
  );
  return { ...table, goals: [...(table.goals ?? []), ...known.map((each) => goalOf(table, each))] };
}

function goalOf(table: Table, { candidate, to = table.reference, by = "perSecond", atLeast, atMost }: Wanted): Goal {
  const own = rowOf(table, candidate);
  const limits = [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
  ];
  const others = typeof to === "string" ? [to] : to;
  const { value, what, unit } = measureOf(
    own,
    () =>
      bestOf(
        others.map((each) => rowOf(table, each)),
        by,
      ),
    by,
  );
  // Who did nothing in most rounds reaches nothing, and to be ahead of one who did nothing is no result.
  const isSound = own.perSecond > 0 && Number.isFinite(value);
  return {
    what: `${table.name}, ${what}`,
    wanted: `${limits.join(", ")}${unit}`,
    measured: `${value.toFixed(value < 10 ? 2 : 1)}${unit}`,
    isReached: isSound && value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity),
  };
}

function measureOf(own: Row, other: () => Row, by: NonNullable<Wanted["by"]>) {
  const name = own.candidate;
  if (by === "p99Ms") return { value: own.p99Ms, what: `p99 of ${name}`, unit: " ms" };
  if (by === "rssMiB") return { value: own.rssMiB ?? Number.NaN, what: `memory of ${name}`, unit: " MiB" };
  const to = other();
  return by === "perSecond"
    ? { value: own.ratio.median / to.ratio.median, what: `${name} to ${to.candidate}`, unit: "" }
    : {
        value: (to.cpuUs ?? Number.NaN) / (own.cpuUs ?? Number.NaN),
        what: `${name} to ${to.candidate}, by processor time`,
        unit: "",
      };
}

function bestOf(rows: readonly Row[], by: NonNullable<Wanted["by"]>): Row {
  const worth = ({ ratio, cpuUs = Number.POSITIVE_INFINITY }: Row) => (by === "perCpu" ? -cpuUs : ratio.median);
  return rows.reduce((best, row) => (worth(row) > worth(best) ? row : best));
}

function rowOf({ name, rows }: Table, candidate: string): Row {
  const row = rows.find((each) => each.candidate === candidate);
  if (!row) throw new Error(`the table "${name}" has no candidate "${candidate}"`);
  return row;
}
