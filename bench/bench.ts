import type { Goal } from "./goals.ts";
import type { Table } from "./rounds.ts";

/** A comparison of candidates that do the same work. */
export interface Bench {
  readonly title: string;
  /** Of a run that counts. */
  readonly rounds: number;
  readonly seconds: number;
  run(options: BenchOptions): Promise<Measured>;
  /** What of it `npm run bench:check` measures; nothing without it. `run` then has to heed `only`. */
  readonly check?: { readonly rounds: number; readonly seconds: number; readonly only: readonly string[] };
}

export interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** The candidates that are wanted, beside the reference. Default: all. */
  readonly only?: readonly string[] | undefined;
  say(text: string): void;
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
  /** How it was measured, by name. */
  readonly conditions: Readonly<Record<string, string | number | boolean>>;
  /** What a reader has to know; a sentence each. */
  readonly notes?: readonly string[];
  /** What it has to reach over several tables. */
  readonly goals?: readonly Goal[];
}
