import type { Measured } from "./bench.ts";
import type { Machine } from "./machine.ts";
import type { Row, Table } from "./rounds.ts";

/** A run that counts, as it is kept in `results/`. */
export interface Result extends Measured {
  readonly title: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
}

const begin = "<!-- written by npm run bench -->";
const end = "<!-- end -->";

/** The document with its generated part made anew from `results`. */
export function renderDocument(document: string, results: readonly Result[]): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md: the lines "${begin}" and "${end}" are missing`);
  return `${document.slice(0, from + begin.length)}\n${results.map(renderResult).join("\n")}\n${document.slice(to)}`;
}

export function renderResult({ title, machine, rounds, seconds, conditions, tables }: Result): string {
  const { cores, system, node, date } = machine;
  const how = Object.entries(conditions).map(([name, value]) => `${name} ${value}`);
  return [
    `\n### ${title}\n`,
    `${date}, Node ${node}, ${system}, ${cores} cores. ${rounds} rounds of ${seconds} s each; ${how.join(", ")}.`,
    ...tables.map(renderTable),
  ].join("\n");
}

export function renderTable({ name, reference, rows }: Table): string {
  const withCpu = rows.some((row) => row.cpuUs !== undefined);
  const head = [name, `ratio to ${reference}`, "lowest to highest", "per second", "p50 ms", "p99 ms"];
  if (withCpu) head.push("CPU µs each");
  const lines = [head, head.map(() => "---"), ...rows.map((row) => cellsOf(row, withCpu))];
  return `\n${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}`;
}

function cellsOf({ candidate, ratio, perSecond, p50Ms, p99Ms, cpuUs }: Row, withCpu: boolean): string[] {
  return [
    candidate,
    `**${ratio.median.toFixed(2)}**`,
    `${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}`,
    perSecond.toLocaleString("en"),
    p50Ms.toFixed(2),
    p99Ms.toFixed(2),
    ...(withCpu ? [cpuUs?.toFixed(1) ?? ""] : []),
  ];
}
