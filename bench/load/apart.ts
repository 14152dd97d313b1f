import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { root } from "../../scripts/source/tree.ts";
import { onCore } from "../program.ts";
import type { LoadPlan, LoadReport } from "./open-loop.ts";

const run = promisify(execFile);
const program = `${root}bench/load/open-loop-program.ts`;

/** Runs an open loop in a process of its own, on a core of its own where there is one to give. */
export async function runLoadApart(plan: LoadPlan, core = 1): Promise<LoadReport> {
  const node = [process.execPath, "--conditions=plinth:source", "--import", "tsx", program, JSON.stringify(plan)];
  const [file, args] = onCore(core, node);
  const { stdout } = await run(file, args, { maxBuffer: 64 * 1024 * 1024, cwd: root });
  return JSON.parse(stdout) as LoadReport;
}
