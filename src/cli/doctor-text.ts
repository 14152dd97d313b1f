import type { Finding, Report } from "./doctor.ts";
import { table } from "./table.ts";
import type { Screen, Style } from "./terminal.ts";

const styles: Readonly<Record<Finding["level"], Style>> = { ok: "green", warn: "yellow", fail: "red" };

/** The report for a person: each finding on a line, then every setting with what holds. */
export function reportText({ findings, settings }: Report, screen: Screen): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const lines = findings.map(({ what, level, text }) => {
    return `${screen.style(styles[level], level.padEnd(4))}  ${what.padEnd(width)}  ${text.replaceAll("\n", `\n${" ".repeat(width + 8)}`)}\n`;
  });
  const rows = settings.map(({ variable, value, isSet, description }) => [
    variable,
    value === null ? "-" : isSet ? value : `${value} (default)`,
    description,
  ]);
  return `${lines.join("")}${rows.length === 0 ? "" : `\n${table(["SETTING", "VALUE", "WHAT FOR"], rows, screen)}`}`;
}
