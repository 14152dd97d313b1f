import cluster from "node:cluster";
import type { App, Settings } from "../app/index.ts";
import { buildModel } from "../app/index.ts";
import type { Environment } from "../config/index.ts";
import { requireSharedDatabase } from "./app-stores.ts";
import { launcher, nodeFlags } from "./child.ts";
import { parentVariable } from "./parent.ts";
import { freePorts } from "./ports.ts";
import type { Member } from "./supervisor.ts";
import type { Terminal } from "./terminal.ts";

export interface WorkersOptions {
  readonly file: string;
  readonly group: string | undefined;
  readonly count: number;
}

/**
 * Several processes behind one port, for a machine with several cores: `node:cluster` hands connections round. They share
 * no memory. Each has probes and metrics at a port of its own, counted up from the one that is set.
 */
export async function workerMembers(
  app: App,
  { file, group, count }: WorkersOptions,
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
): Promise<readonly Member[]> {
  await requireSharedDatabase(`start --workers ${count}`, buildModel(app), settings, terminal);
  cluster.setupPrimary({
    exec: launcher,
    execArgv: nodeFlags(),
    args: ["start", "--app", file, ...(group === undefined ? [] : ["--group", group])],
  });
  // In a cluster port 0 would be the same free port for all of them.
  const managementPorts =
    settings.managementPort === 0
      ? await freePorts(count)
      : Array.from({ length: count }, (_, i) => settings.managementPort + i);
  return managementPorts.map((port, i) => ({
    name: `worker ${i + 1}`,
    spawn: () =>
      cluster.fork({
        ...environment,
        PORT: String(settings.port),
        PLINTH_MANAGEMENT_PORT: String(port),
        [parentVariable]: "1",
      }).process,
  }));
}
