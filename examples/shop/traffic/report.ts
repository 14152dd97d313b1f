import { type OperationReport, sumOf } from "./tally.ts";
import type { TrafficReport } from "./traffic.ts";

/** The report as a table, and below it what did not go well. */
export function toText({ operations, checkouts, seconds, rateAsked, rateAchieved, good }: TrafficReport): string {
  const rows = Object.entries(operations).map(([name, row]) => [name, ...cells(row)]);
  const table = [["operation", "sent", "ok", "refused", "failed", "wrong", "p50", "p90", "p99", "max ms"], ...rows];
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => (row[i] ?? "").length)));
  const lines = table.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
  const { ok, fail, unknown } = checkouts;
  lines.push("", `checkouts: ${ok} placed, ${fail} refused, ${unknown} unknown`);
  lines.push(`rate: ${rateAchieved.toFixed(1)}/s of ${rateAsked}/s, over ${seconds.toFixed(1)} s`);
  for (const kind of ["refused", "failed", "wrong"] as const) {
    for (const [reason, count] of Object.entries(operations.all[kind])) lines.push(`${kind}: ${count} × ${reason}`);
  }
  lines.push(good ? "good" : "NOT GOOD: an answer was wrong, or more than 1 % failed");
  return `${lines.join("\n")}\n`;
}

function cells({ sent, ok, refused, failed, wrong, p50Ms, p90Ms, p99Ms, maxMs }: OperationReport): string[] {
  const counts = [sent, ok, sumOf(refused), sumOf(failed), sumOf(wrong)].map(String);
  return [...counts, ...[p50Ms, p90Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1))];
}
