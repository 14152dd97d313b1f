import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { root } from "../source/tree.ts";
import { busyLine, type Ended, endLine, idleLine } from "./reporter.ts";

export interface FileResult {
  readonly path: string;
  readonly tests: readonly Ended[];
  readonly ms: number;
  /** What the process wrote, the last 64 kB. */
  readonly output: string;
}

/** Limits of one file. One that breaks them is ended, with everything it started, and counts as failed. */
export interface FileLimits {
  readonly fileMsMax: number;
  /** How long the process may live on when its tests have ended. */
  readonly lingerMsMax: number;
}

const defaultLimits: FileLimits = { fileMsMax: 240_000, lingerMsMax: 10_000 };
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
  folder: string,
  onEnd: (result: FileResult) => void,
  limits: FileLimits = defaultLimits,
): Promise<FileResult[]> {
  const coverage = `${folder}/v8`;
  rmSync(coverage, { recursive: true, force: true });
  mkdirSync(coverage, { recursive: true });
  mkdirSync(`${folder}/reports`, { recursive: true });
  const results: FileResult[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < paths.length) {
      const index = next++;
      const report = `${folder}/reports/${index}.jsonl`;
      rmSync(report, { force: true });
      const result = await runFile(paths[index] as string, report, coverage, limits);
      results.push(result);
      onEnd(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  return results;
}

async function runFile(path: string, report: string, coverage: string, limits: FileLimits): Promise<FileResult> {
  const startedAt = performance.now();
  const flags = [
    "--conditions=plinth:source",
    `--import=${loader}`,
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${report}`,
  ];
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_ENV: "test", NODE_V8_COVERAGE: coverage };
  // Set by `node --test` for its children, and would make this one report to a parent that it does not have.
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(process.execPath, [...flags, path], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputCharsMax);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const group = -(child.pid ?? 0);
  let timedOut = false;
  let idleAt: number | undefined;
  const watch = setInterval(() => {
    const nowMs = performance.now();
    idleAt = readReport(report).idle ? (idleAt ?? nowMs) : undefined;
    timedOut ||= nowMs - startedAt > limits.fileMsMax || nowMs - (idleAt ?? nowMs) > limits.lingerMsMax;
    if (timedOut) endGroup(group);
  }, 500);
  const ending = await new Promise<string>((resolve) => {
    child.on("error", (thrown) => resolve(String(thrown)));
    child.on("exit", (code, signal) => resolve(signal ?? (code ? `exit code ${code}` : "")));
  });
  clearInterval(watch);
  // Whatever the file started and left behind goes with it.
  endGroup(group);
  const { list, idle, complete } = readReport(report);
  const whole = timedOut ? hungAs(idle, limits) : diedAs(list, complete, ending);
  const tests: Ended[] = whole ? [...list, { name: "the file as a whole", outcome: "failed", why: whole }] : list;
  return { path, tests, ms: performance.now() - startedAt, output };
}

function endGroup(group: number): void {
  if (group === 0) return;
  try {
    process.kill(group, "SIGKILL");
  } catch {
    // Nobody of the group is left, which is what was wanted.
  }
}

interface Report {
  readonly list: Ended[];
  /** No test that was begun is left. It may be so for a moment only. */
  readonly idle: boolean;
  /** The process came to its natural end. */
  readonly complete: boolean;
}

function readReport(path: string): Report {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // The process ended before it could report anything; `complete` says so.
  }
  const lines = text.split("\n").filter((line) => line.endsWith("}"));
  const list = lines.map((line) => JSON.parse(line) as Ended).filter((line) => line.outcome !== undefined);
  const idle = text.lastIndexOf(idleLine) > text.lastIndexOf(busyLine);
  return { list, idle, complete: text.endsWith(endLine) };
}

function hungAs(idle: boolean, limits: FileLimits): string {
  return idle
    ? `its tests ended, but something they left open kept the process alive: stopped after ${limits.lingerMsMax / 1000} s more`
    : `its tests did not come to an end: stopped after ${limits.fileMsMax / 1000} s`;
}

/** A failure that no test reported: the process ended before its tests, or badly although they passed. */
function diedAs(tests: readonly Ended[], complete: boolean, ending: string): string | undefined {
  const explained = tests.some((test) => test.outcome === "failed");
  if (complete && (ending === "" || explained)) return undefined;
  return `the process ended early: ${ending || "exit code 0"}`;
}
