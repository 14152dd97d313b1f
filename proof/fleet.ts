import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Member, Ports } from "./member.ts";
import { createMember, freePorts } from "./member.ts";

/**
 * An app spread over processes of this machine as it is over pods in a cluster: each group of its placement in one or
 * more processes, which find each other by address and share a database and a cache.
 */
export interface Fleet {
  readonly members: readonly Member[];
  of(group: string): readonly Member[];
  /** Where the gateways listen, one address for each process that has one. */
  readonly urls: readonly string[];
  readonly folder: string;
  /** Stops what runs and removes the folder. */
  dispose(): Promise<void>;
}

export interface FleetOptions {
  readonly appFile: string;
  /** Groups of the placement, and how many processes of each. */
  readonly groups: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string>>;
  /** The group that has the gateway. */
  readonly edge: string;
}

const secret = "a secret for proofs alone, and long enough";

export async function startFleet({ appFile, groups, environment, edge }: FleetOptions): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), "plinth-proof-"));
  const names = Object.entries(groups).flatMap(([group, count]) => Array.from({ length: count }, () => group));
  const free = await freePorts(names.length * 3);
  const placed = names.map((group, i) => {
    const [http = 0, rpc = 0, management = 0] = free.slice(i * 3, i * 3 + 3);
    return { group, ports: { http, rpc, management } satisfies Ports };
  });
  const addresses = Object.keys(groups).map((group) => {
    const own = placed.filter((each) => each.group === group).map(({ ports }) => `127.0.0.1:${ports.rpc}`);
    return `${group}=${own.join(",")}`;
  });
  const shared = {
    NODE_ENV: "test",
    PLINTH_RPC_SECRET: secret,
    PLINTH_ADDRESSES: addresses.join(";"),
    PLINTH_DATA: join(folder, "data"),
    ...environment,
  };
  const members = placed.map(({ group, ports }) =>
    createMember({ group, ports, appFile, folder, environment: shared }),
  );
  const fleet: Fleet = {
    members,
    of: (group) => members.filter((member) => member.group === group),
    urls: members.filter(({ group }) => group === edge).map(({ ports }) => `http://127.0.0.1:${ports.http}`),
    folder,
    async dispose() {
      await Promise.all(members.map((member) => member.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    // One after the other for the first: its migrations are waited for by the rest anyway.
    for (const member of members) await member.start();
  } catch (thrown) {
    await fleet.dispose();
    throw thrown;
  }
  return fleet;
}
