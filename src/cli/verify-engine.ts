import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import type { CaseResult, EngineReport } from "../verify/index.ts";
import { verifyEngine } from "../verify/index.ts";
import { table } from "./table.ts";
import type { Screen, Terminal } from "./terminal.ts";

export interface VerifyFlags {
  readonly port: string | undefined;
  readonly only: string | undefined;
  /** Seconds. */
  readonly timeout: number | undefined;
  readonly record: string | undefined;
  readonly json: boolean;
}

/** Cases as they end, then the settings, the guarantee and the sums. */
export async function runVerify(args: readonly string[], flags: VerifyFlags, terminal: Terminal): Promise<ExitCode> {
  const [what, url] = args;
  if (what !== "engine") {
    throw new StartError(
      "USAGE_WRONG",
      `"${what}": that cannot be verified; write plinth verify engine URL, or plinth verify access.`,
    );
  }
  if (url === undefined) {
    throw new StartError("USAGE_WRONG", "engine: which one? Write plinth verify engine URL.");
  }
  if (flags.record !== undefined && (flags.only !== undefined || flags.port !== undefined)) {
    throw new StartError("USAGE_WRONG", "--record: a record is of all cases; leave out --port and --only.");
  }
  const { out } = terminal;
  const report = await verifyEngine(url, {
    port: flags.port,
    only: flags.only,
    ...(flags.timeout !== undefined && { caseTimeoutMs: flags.timeout * 1000 }),
    ...(!flags.json && { onCase: (result) => out.write(caseLine(result, out)) }),
  });
  if (flags.json) out.write(`${JSON.stringify(report, null, 2)}\n`);
  else out.write(summary(report, out));
  if (flags.record !== undefined) await record(report, flags.record, terminal);
  return report.cases.some(({ outcome }) => outcome === "failed") ? 1 : 0;
}

const colours = { passed: "green", failed: "red", skipped: "yellow" } as const;

function caseLine({ port, name, outcome, reason, ms }: CaseResult, screen: Screen): string {
  const head = `${screen.style(colours[outcome], outcome.padEnd(7))}  ${port.padEnd(8)}  ${name}`;
  const time = outcome === "skipped" ? "" : screen.style("dim", ` (${ms} ms)`);
  return `${head}${time}\n${reason === undefined ? "" : `         ${reason.replaceAll("\n", "\n         ")}\n`}`;
}

function summary({ engine, guarantee, settings, cases }: EngineReport, screen: Screen): string {
  const count = (wanted: CaseResult["outcome"]): number => cases.filter(({ outcome }) => outcome === wanted).length;
  const rows = settings.map(({ name, value, verdict, means }) => [name, value, verdict, means ?? ""]);
  return [
    "",
    ...(rows.length > 0 ? [table(["SETTING", "VALUE", "VERDICT", "MEANS"], rows, screen)] : []),
    `guarantee: ${guarantee}`,
    `${engine}: ${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`,
    "",
  ].join("\n");
}

/** By engine and port, each case's outcome: "passed", "failed", or why it was skipped. No times: they differ each day. */
async function record({ engine, guarantee, cases }: EngineReport, name: string, terminal: Terminal): Promise<void> {
  const file = resolve(terminal.cwd, name);
  const results = { ...(await readRecord(file, name)) };
  const ports: Record<string, Record<string, string>> = {};
  for (const { port, name: title, outcome, reason } of cases) {
    ports[port] ??= {};
    ports[port][title] = outcome === "skipped" ? `skipped: ${reason}` : outcome;
  }
  results[engine] = { guarantee, ports };
  const sorted = Object.fromEntries(Object.entries(results).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(file, `${JSON.stringify(sorted, null, 2)}\n`);
  terminal.err.write(`recorded ${engine} in ${name}\n`);
}

async function readRecord(file: string, name: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return {};
    throw new StartError("RECORD_DAMAGED", `--record ${name}: it is no record of results; name another file.`, {
      cause,
    });
  }
}
