import type { Screen } from "./terminal.ts";

/** Columns beside each other, with a head; the last one is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], screen: Screen): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === head.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return `${[screen.style("bold", line(head)), ...rows.map(line)].join("\n")}\n`;
}
