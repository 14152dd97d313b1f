import type { App } from "../app/index.ts";
import { readProcessSettings } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { findAppFile, loadApp } from "./app-file.ts";
import { environmentOf } from "./environment.ts";
import { hasParent, isStandby, untilGo } from "./parent.ts";
import { serve } from "./serve.ts";
import { straySettings, tellStray } from "./stray-settings.ts";
import type { Terminal } from "./terminal.ts";
import { registerTypeScript } from "./typescript.ts";

export interface StartFlags {
  readonly app: string | undefined;
  readonly group: string | undefined;
  readonly split: boolean;
  readonly workers: number | undefined;
  readonly port: number | undefined;
}

/** Runs an app in the way that was asked for; undefined when this process is the one that serves. */
export async function start(flags: StartFlags, terminal: Terminal): Promise<ExitCode | undefined> {
  const { group, split, workers = 1 } = flags;
  if (split && (group !== undefined || flags.workers !== undefined)) {
    throw new StartError(
      "USAGE_WRONG",
      "--split runs every group, each once; leave out --group and --workers, or run the groups by themselves.",
    );
  }
  if (isStandby()) {
    await registerTypeScript();
    await untilGo();
  }
  const file = findAppFile(terminal.cwd, flags.app);
  const app = await loadApp(file);
  const environment = environmentOf(terminal);
  if (!hasParent()) warnOfStray(environment, app, terminal);
  if (!split && workers === 1) {
    await serve(app, { group, port: flags.port, environment }, terminal);
    return undefined;
  }
  const { splitMembers } = await import("./split.ts");
  const { workerMembers } = await import("./workers.ts");
  const { runMembers } = await import("./run-members.ts");
  const read = readProcessSettings(environment);
  const settings = { ...read, port: flags.port ?? read.port };
  const members = split
    ? await splitMembers(app, file, settings, environment, terminal)
    : await workerMembers(app, { file, group, count: workers }, settings, environment, terminal);
  const name = group === undefined ? app.name : `${app.name}/${group}`;
  return runMembers(members, { name, hasDocs: app.gateway.docs !== false, graceMs: settings.graceMs, terminal });
}

/** A slip of the pen stops nothing: the variable may be another program's. */
function warnOfStray(environment: Environment, app: App, { err }: Terminal): void {
  for (const stray of straySettings(environment, app))
    err.write(`${err.style("yellow", "warning")} ${tellStray(stray)}\n`);
}
