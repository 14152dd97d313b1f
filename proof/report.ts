import type { Machine } from "../bench/machine.ts";
import type { Shown } from "./proof.ts";

/** A run that counts, as it is kept in `results/`. */
export interface Kept extends Shown {
  readonly title: string;
  readonly how: string;
  readonly command: string;
  readonly machine: Machine;
  /** How long it took. */
  readonly seconds: number;
}

const begin = "<!-- written by npm run prove -->";
const end = "<!-- end -->";

/** The document with its generated part made anew from `results`. */
export function renderDocument(document: string, results: readonly Kept[]): string {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/proofs.md: the lines "${begin}" and "${end}" are missing`);
  return `${document.slice(0, from + begin.length)}\n${results.map(renderKept).join("\n")}\n${document.slice(to)}`;
}

export function renderKept({ title, how, command, machine, seconds, claims, facts }: Kept): string {
  const { cores, system, node, date } = machine;
  return [
    `\n### ${title}\n`,
    `${how}\n`,
    `\`${command}\` took ${seconds} s on ${date}, Node ${node}, ${system}, ${cores} cores.\n`,
    "| claim | seen | holds |",
    "| --- | --- | --- |",
    ...claims.map(({ claim, seen, holds }) => `| ${claim} | ${seen} | ${holds ? "yes" : "**no**"} |`),
    "",
    Object.entries(facts)
      .map(([name, value]) => `${name} ${typeof value === "number" ? value.toLocaleString("en") : value}`)
      .join("; "),
  ].join("\n");
}
