import type { Measured, Sheet } from "./bench.ts";
import { type Goal, renderGoal } from "./goals.ts";
import type { Machine } from "./machine.ts";
import { renderCells } from "./markdown-table.ts";
import type { ProfileSummary } from "./profile-summary.ts";
import type { Row, Table } from "./rounds.ts";
import { renderShortfalls } from "./shortfalls.ts";
import { renderSummary } from "./summary.ts";
import type { Whys } from "./whys.ts";

/** A run that counts, as it is kept in `results/`. */
export interface Result extends Measured {
  readonly title: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
}

/** All that is committed of a bench. */
export interface Kept {
  readonly result: Result;
  readonly whys: Whys | undefined;
  readonly profile: ProfileSummary | undefined;
}

const begin = "<!-- written by npm run bench -->";
const end = "<!-- end -->";

/** The document with its generated part made anew. */
export function renderDocument(document: string, all: readonly Kept[]): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md: the lines "${begin}" and "${end}" are missing`);
  const results = [renderSummary(all), ...all.flatMap(renderKept)];
  return `${document.slice(0, from + begin.length)}\n${results.join("\n")}\n${document.slice(to)}`;
}

function renderKept({ result, whys, profile }: Kept): string[] {
  return [renderResult(result), ...renderShortfalls(result, whys, profile)];
}

export function renderResult(result: Result): string {
  const { title, machine, rounds, seconds, conditions, tables, sheets = [], notes, goals } = result;
  const { cores, system, node, date, load } = machine;
  return [
    `\n### ${title}\n`,
    `${date}, Node ${node}, ${system}, ${cores} cores${load === undefined ? "" : `, load average ${load}`}. ${rounds} rounds of ${seconds} s each; ${listed(conditions)}.`,
    ...tables.map(renderTable),
    ...sheets.map(renderSheet),
    ...renderRemarks(notes, goals),
  ].join("\n");
}

export function renderTable(table: Table): string {
  const { name, reference, rows, conditions, notes, goals } = table;
  const withCpu = rows.some((row) => row.cpuUs !== undefined);
  const withMemory = rows.some((row) => row.rssMiB !== undefined);
  const head = [name, `ratio to ${reference}`, "lowest to highest", "per second", "p50 ms", "p99 ms"];
  if (withCpu) head.push("CPU µs each");
  if (withMemory) head.push("MiB");
  const cells = rows.map((row) => cellsOf(row, withCpu, withMemory));
  return [
    ...(conditions ? [`\n${name}: ${listed(conditions)}.`] : []),
    `\n${renderCells(head, cells)}`,
    ...renderRemarks(notes, goals, (goal) => renderGoal(goal, table)),
  ].join("\n");
}

function renderSheet({ columns, rows }: Sheet): string {
  return `\n${renderCells(columns, rows)}`;
}

function listed(conditions: Readonly<Record<string, string | number | boolean>>): string {
  const all = Object.entries(conditions).map(([name, value]) => `${name} ${value}`);
  return all.join(", ");
}

function renderRemarks(
  notes: readonly string[] = [],
  goals: readonly Goal[] = [],
  nameOf: (goal: Goal) => string = ({ what }) => what,
): string[] {
  const asked = goals.map((goal) => {
    const { wanted, measured, isReached } = goal;
    return `- ${isReached ? "reached" : "**not reached**"}: ${nameOf(goal)}: ${measured}, asked ${wanted}`;
  });
  return notes.length + asked.length === 0 ? [] : ["", ...notes.map((note) => `- ${note}`), ...asked];
}

function cellsOf(row: Row, withCpu: boolean, withMemory: boolean): string[] {
  const { candidate, ratio, perSecond, p50Ms, p99Ms, cpuUs, rssMiB } = row;
  return [
    candidate,
    `**${digits(ratio.median)}**`,
    `${digits(ratio.min)} to ${digits(ratio.max)}`,
    perSecond.toLocaleString("en"),
    fixed(p50Ms, 2),
    fixed(p99Ms, 2),
    ...(withCpu ? [cpuUs === undefined ? "" : fixed(cpuUs, 1)] : []),
    ...(withMemory ? [rssMiB?.toFixed(0) ?? ""] : []),
  ];
}

/** What never came took for ever, which is `null` in JSON. */
function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "none";
}

/** Small shares keep what tells them apart. */
function digits(ratio: number): string {
  return ratio.toFixed(ratio < 0.1 ? 3 : 2);
}
