import type { LoadReport } from "./open-loop-shots.ts";
import type { RouteReport } from "./open-loop-tally.ts";

export interface Bounds {
  readonly p99Ms: number | undefined;
  /** Of all requests. */
  readonly errorShare: number;
}

export interface Verdict {
  /** Bounds that did not hold, in words. */
  readonly problems: readonly string[];
  /** Requests left so late that the times say more of the sender than of the server. */
  readonly isBlurred: boolean;
}

/** Later than this, for one in a thousand, is the sender's own doing, unless it waited for a connection. */
const lateMsMax = 100;

export function judgeLoad({ all, lateMs }: LoadReport, { p99Ms, errorShare }: Bounds): Verdict {
  const failed = failuresOf(all);
  const problems: string[] = [];
  if (all.sent === 0) problems.push("nothing was sent");
  if (failed > errorShare * all.sent) problems.push(`${failed} of ${all.sent} failed`);
  if (p99Ms !== undefined && all.p99Ms > p99Ms) problems.push(`p99 is ${all.p99Ms} ms, more than ${p99Ms}`);
  return { problems, isBlurred: lateMs > lateMsMax };
}

/** What was not answered with 2xx, or not at all. */
export function failuresOf({ sent, good, late }: RouteReport): number {
  return sent - good - late;
}

export function loadText(report: LoadReport, { problems, isBlurred }: Verdict): string {
  const { all, routes, seconds, lateMs } = report;
  const names = Object.keys(routes).sort();
  const rows = names.length > 1 ? [...names, "all"] : names;
  const lines = [
    ["", "sent", "failed", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"],
    ...rows.map((name) => rowOf(name, name === "all" ? all : (routes[name] as RouteReport))),
  ];
  return [
    `${Math.round(all.sent / seconds)} requests in a second for ${seconds} s, timed from when they were meant to be sent\n`,
    table(lines),
    ...(failuresOf(all) > 0 ? [`\nanswers: ${reasonsOf(all)}`] : []),
    `\nlate leaving: ${lateMs.toFixed(1)} ms for one in a thousand${isBlurred ? ": this program, or its connections, did not keep up" : ""}`,
    ...problems.map((problem) => `\nnot held: ${problem}`),
    "",
  ].join("\n");
}

function rowOf(name: string, route: RouteReport): string[] {
  const times = [route.p50Ms, route.p90Ms, route.p99Ms, route.p999Ms, route.maxMs].map((ms) => ms.toFixed(2));
  return [name, String(route.sent), String(failuresOf(route)), ...times];
}

/** What became of all: `200: 90, too late: 10`. */
export function reasonsOf({ statuses, timeouts, broken }: RouteReport): string {
  return [
    ...Object.entries(statuses).map(([status, count]) => `${status}: ${count}`),
    ...(timeouts > 0 ? [`too late: ${timeouts}`] : []),
    ...(broken > 0 ? [`connection broken: ${broken}`] : []),
  ].join(", ");
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const cell = (text: string, at: number) =>
    at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart((widths[at] ?? 0) + 2);
  return rows.map((row) => row.map(cell).join("")).join("\n");
}
