import type { Verdict } from "../../src/verify/index.ts";

/** One thing that Plinth does, and the same thing left out. The same run, twice: only one of the two may pass. */
export interface Scenario<G> {
  /** "the inbox is off". */
  readonly mutant: string;
  play(ground: G, options: { readonly isMutant: boolean; readonly smoke: boolean }): Promise<readonly Verdict[]>;
}
