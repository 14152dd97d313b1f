import type { Machine } from "./machine.ts";
import type { Result } from "./report.ts";
import type { Row, Spread, Table } from "./rounds.ts";

/**
 * A ratio of a short run beside the one that is committed. It fell when each of its rounds is below all that are committed,
 * and by more than 5 %: by chance alone five rounds are below five others once in 252 times, and a short run, which warms
 * up less, is off by so much. It fell as well when it did nothing in most of its rounds. Where the spreads leave room for a fall by a quarter that would not be told, it says so instead
 * of that all is well.
 */
export interface Move {
  /** `"edge, GET, plinth, per second"` */
  readonly what: string;
  readonly before: Spread;
  readonly now: Spread;
  readonly kind: "fell" | "rose" | "within" | "blind";
}

const leastMove = 0.05;
const blindFrom = 0.25;

/** Row by row. Rows and tables that are on one side only say nothing. */
export function compareResults(name: string, before: Result, now: Pick<Result, "tables" | "ratios">): readonly Move[] {
  return tablesOf(now).flatMap((table) => {
    const old = tablesOf(before).find((each) => each.name === table.name);
    return old && old.reference === table.reference ? compareTables(`${name}, ${table.name}`, old, table) : [];
  });
}

function tablesOf({ tables, ratios = [] }: Pick<Result, "tables" | "ratios">): readonly Table[] {
  return [...tables, ...ratios];
}

function compareTables(name: string, before: Table, now: Table): readonly Move[] {
  return now.rows.flatMap((row) => {
    const old = before.rows.find((each) => each.candidate === row.candidate);
    return old && row.candidate !== now.reference ? compareRows(`${name}, ${row.candidate}`, old, row) : [];
  });
}

function compareRows(name: string, before: Row, now: Row): readonly Move[] {
  const moves = [moveOf(`${name}, per second`, before.ratio, now.ratio)];
  if (before.cpuRatio && now.cpuRatio) moves.push(moveOf(`${name}, by processor time`, before.cpuRatio, now.cpuRatio));
  return moves;
}

function moveOf(what: string, before: Spread, now: Spread): Move {
  return { what, before, now, kind: kindOf(before, now) };
}

function kindOf(before: Spread, now: Spread): Move["kind"] {
  const change = now.median / before.median - 1;
  // What did nothing has a ratio of 0, and what is no number is no good news either.
  if (!(now.median > 0) || Number.isNaN(change)) return "fell";
  if (now.max < before.min && change < -leastMove) return "fell";
  if (now.min > before.max && change > leastMove) return "rose";
  return leastSeen(before, now) <= blindFrom ? "within" : "blind";
}

/** The smallest fall that would be told, as a share, if the rounds lay as far apart as they do. */
function leastSeen(before: Spread, now: Spread): number {
  return Math.max(leastMove, 1 - before.min / before.median / (now.max / now.median));
}

export function renderMove({ what, before, now, kind }: Move): string {
  const of = (ratio: number) => percent(ratio / before.median - 1);
  const moved = `${of(now.median)} (rounds ${of(now.min)} to ${of(now.max)}, then ${of(before.min)} to ${of(before.max)})`;
  const line = `${kind.padEnd(6)} ${what}: ${now.median.toFixed(2)}, was ${before.median.toFixed(2)}, ${moved}`;
  return kind === "blind" ? `${line}: only a fall by ${percent(leastSeen(before, now)).slice(1)} would show` : line;
}

function percent(share: number): string {
  return `${share < 0 ? "" : "+"}${(100 * share).toFixed(0)} %`;
}

/** Programs of the bench itself that want a core: the server and the load. */
const ownLoad = 2;

/** What makes two runs less alike than their numbers look; nothing when they are. */
export function differencesOf(then: Machine, now: Machine): readonly string[] {
  const unlike = (["cores", "system", "node"] as const).filter((field) => then[field] !== now[field]);
  const busy = ({ load = 0, cores }: Machine) => load > Math.max(cores, ownLoad) + 1;
  return [
    ...unlike.map((field) => `${field}: ${then[field]} then, ${now[field]} now`),
    ...(busy(then) ? [`the machine was busy then: load average ${then.load}`] : []),
    ...(busy(now) ? [`the machine is busy now: load average ${now.load}`] : []),
  ];
}
