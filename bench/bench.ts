import type { Goal } from "./goals.ts";
import type { Table } from "./rounds.ts";

/** A comparison of candidates that do the same work. */
export interface Bench {
  readonly title: string;
  /** Of a run that counts. */
  readonly rounds: number;
  readonly seconds: number;
  run(options: BenchOptions): Promise<Measured>;
  /** What of it `npm run bench:check` measures; nothing without it. */
  readonly check?: Check;
}

/** A short run of the rows that tell most. */
export interface Check extends Omit<BenchOptions, "say"> {
  /** What is not there that it needs. */
  lacks?(): string | undefined;
}

export interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** The candidates that are wanted, beside the reference. Default: all. */
  readonly only?: readonly string[] | undefined;
  /** The tables that are wanted, by name. Default: all. */
  readonly tables?: readonly string[] | undefined;
  say(text: string): void;
}

/** Of a table's candidates, those that are wanted; the first is the reference. */
export function wantedOf(candidates: readonly string[], { only }: Pick<BenchOptions, "only">): readonly string[] {
  return candidates.filter((each, i) => i === 0 || only === undefined || only.includes(each));
}

export function isWanted(table: string, { tables }: Pick<BenchOptions, "tables">): boolean {
  return tables === undefined || tables.includes(table);
}

/** Numbers that are no comparison in rounds: a column each, and a row for each case. */
export interface Sheet {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface Measured {
  readonly tables: readonly Table[];
  /** Rendered after the tables. */
  readonly sheets?: readonly Sheet[];
  /** What a sheet shows, as ratios: not rendered, for `npm run bench:check` alone. */
  readonly ratios?: readonly Table[];
  /** How it was measured, by name. */
  readonly conditions: Readonly<Record<string, string | number | boolean>>;
  /** What a reader has to know; a sentence each. */
  readonly notes?: readonly string[];
  /** What it has to reach over several tables. */
  readonly goals?: readonly Goal[];
}
