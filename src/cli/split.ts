import type { App, Settings } from "../app/index.ts";
import { buildModel, groupsOf } from "../app/index.ts";
import { StartError, systemRandom } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import { requireSharedDatabase } from "./app-stores.ts";
import { spawnPlinth } from "./child.ts";
import { freePorts } from "./ports.ts";
import type { Member } from "./supervisor.ts";
import type { Style, Terminal } from "./terminal.ts";

const styles: readonly Style[] = ["cyan", "yellow", "green", "red"];

/**
 * Every placement group as a process of its own on this machine, as in production but for the machines: they find each
 * other at free ports and prove a secret to each other that is made here. The first group with a gateway gets the port
 * that is set, others a free one; probes count up from the port that is set.
 */
export async function splitMembers(
  app: App,
  file: string,
  settings: Settings,
  environment: Environment,
  terminal: Terminal,
): Promise<readonly Member[]> {
  if (!app.placement) {
    throw new StartError(
      "PLACEMENT_ABSENT",
      `start --split: "${app.name}" has no placement to split by; add placement: { edge: ["gateway", …], … } to its app().`,
    );
  }
  const groups = [...groupsOf(app)];
  await requireSharedDatabase("start --split", buildModel(app), settings, terminal);
  const ports = await freePorts(groups.length);
  const addresses = groups.map(([name], i) => `${name}=127.0.0.1:${ports[i]}`).join(";");
  const rpcSecret = settings.rpcSecret ?? Buffer.from(systemRandom.fill(new Uint8Array(32))).toString("base64");
  const firstGateway = groups.findIndex(([, members]) => members.includes("gateway"));
  const width = Math.max(...groups.map(([name]) => name.length));
  return groups.map(([name], i) => ({
    name,
    spawn: () =>
      spawnPlinth(["start", "--app", file, "--group", name], {
        cwd: terminal.cwd,
        prefix: `${terminal.out.style(styles[i % styles.length] ?? "cyan", name.padEnd(width))} | `,
        terminal,
        environment: {
          ...environment,
          PORT: String(i === firstGateway ? settings.port : 0),
          PLINTH_RPC_HOST: "127.0.0.1",
          PLINTH_RPC_PORT: String(ports[i]),
          PLINTH_RPC_SECRET: rpcSecret,
          PLINTH_ADDRESSES: addresses,
          PLINTH_MANAGEMENT_PORT: String(settings.managementPort === 0 ? 0 : settings.managementPort + i),
        },
      }),
  }));
}
