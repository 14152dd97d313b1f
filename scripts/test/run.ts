import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { root } from "../source/tree.ts";
import type { Ended } from "./reporter.ts";

export interface FileResult {
  readonly path: string;
  readonly tests: readonly Ended[];
  readonly ms: number;
  /** What the process wrote, the last 64 kB. */
  readonly output: string;
}

/** A file that takes longer is ended, with everything it started, and counts as failed. */
const fileMsMax = 120_000;
/** How long a process may live on when its tests have ended. */
const lingerMsMax = 10_000;
const outputCharsMax = 65_536;

const reporter = new URL("./reporter.ts", import.meta.url).href;
/** By its full address, so that a test may change its working directory. */
const loader = import.meta.resolve("tsx");

/**
 * Runs each file in a process of its own, as many at once as there are processors, two at least.
 *
 * The conditions are arguments and not `NODE_OPTIONS`: a process that a test starts is to run as a user's would. What
 * it does inherit is NODE_V8_COVERAGE, so that its lines count as covered, unless it is killed.
 */
export async function runFiles(
  paths: readonly string[],
  coverageFolder: string,
  onEnd: (result: FileResult) => void,
): Promise<FileResult[]> {
  const reports = `${root}coverage/reports`;
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const results: FileResult[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < paths.length) {
      const index = next++;
      const result = await runFile(paths[index] as string, `${reports}/${index}.jsonl`, coverageFolder);
      results.push(result);
      onEnd(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  return results;
}

async function runFile(path: string, report: string, coverageFolder: string): Promise<FileResult> {
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [
      "--conditions=plinth:source",
      `--import=${loader}`,
      `--test-reporter=${reporter}`,
      `--test-reporter-destination=${report}`,
      path,
    ],
    {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_ENV: "test", NODE_V8_COVERAGE: coverageFolder },
    },
  );
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputCharsMax);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const group = -(child.pid ?? 0);
  let timedOut = false;
  let endedAt: number | undefined;
  const watch = setInterval(() => {
    const nowMs = performance.now();
    if (endedAt === undefined && readReport(report).complete) endedAt = nowMs;
    timedOut = nowMs - startedAt > fileMsMax || nowMs - (endedAt ?? nowMs) > lingerMsMax;
    if (timedOut) endGroup(group);
  }, 1000);
  const ending = await new Promise<string>((resolve) => {
    child.on("error", (thrown) => resolve(String(thrown)));
    child.on("exit", (code, signal) => resolve(signal ?? (code ? `exit code ${code}` : "")));
  });
  clearInterval(watch);
  // Whatever the file started and left behind goes with it.
  if (group !== 0) endGroup(group);
  const tests = readReport(report);
  const died = diedOf(tests, ending, timedOut);
  return { path, tests: died ? [...tests.list, died] : tests.list, ms: performance.now() - startedAt, output };
}

function endGroup(group: number): void {
  try {
    process.kill(group, "SIGKILL");
  } catch {
    // Nobody of the group is left, which is what was wanted.
  }
}

function readReport(path: string): { list: Ended[]; complete: boolean } {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // The process ended before it could report anything; `complete` says so.
  }
  const lines = text.split("\n").filter((line) => line.endsWith("}"));
  const complete = lines.at(-1) === '{"end":true}';
  return { list: lines.filter((line) => line !== '{"end":true}').map((line) => JSON.parse(line) as Ended), complete };
}

/** A failure that no test reported: the process died, hung, or never came to an end. */
function diedOf(tests: { list: Ended[]; complete: boolean }, ending: string, timedOut: boolean): Ended | undefined {
  const failed = tests.list.some((test) => test.outcome === "failed");
  const hung = tests.complete
    ? `its tests ended, but something they left open kept the process alive: stopped after ${lingerMsMax / 1000} s more`
    : `its tests did not come to an end: stopped after ${fileMsMax / 1000} s`;
  if (timedOut) return { name: "the file as a whole", outcome: "failed", why: hung };
  if (!tests.complete || (ending && !failed)) {
    return {
      name: "the file as a whole",
      outcome: "failed",
      why: `the process ended early: ${ending || "exit code 0"}`,
    };
  }
  return undefined;
}
