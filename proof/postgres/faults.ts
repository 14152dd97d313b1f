import { setTimeout as sleep } from "node:timers/promises";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { FaultEvidence, SpawnedFaultProxy } from "../../src/verify/index.ts";

/** A fault of the database: over when `make` resolves, with how often it bit. */
export interface DatabaseFault {
  readonly name: string;
  /** Less is no proof. */
  readonly bitesMin: number;
  make(): Promise<number>;
}

export interface FaultsOptions {
  readonly postgres: TestPostgres;
  readonly proxy: SpawnedFaultProxy;
  readonly readOnlyMs: number;
  /** Of COMMIT, one after the other with others in between. */
  readonly cuts: number;
}

const cutsWithinMs = 30_000;
const commitsBetweenCuts = 4;
const cutName = "reply to COMMIT";

export function databaseFaults({ postgres, proxy, readOnlyMs, cuts }: FaultsOptions): readonly DatabaseFault[] {
  const isRefused = () => postgres.adminQuery("create table refused (id int)").then(() => false, isReadOnly);
  return [
    {
      name: "immediate stop and restart",
      bitesMin: 1,
      async make() {
        const before = postgres.pid;
        await postgres.stop("immediate");
        await sleep(1000);
        await postgres.start();
        return before !== undefined && postgres.pid !== before ? 1 : 0;
      },
    },
    {
      name: "connections terminated",
      bitesMin: 4,
      make: () => postgres.terminateConnections(),
    },
    {
      name: `read-only for ${readOnlyMs / 1000} s`,
      bitesMin: 1,
      async make() {
        await postgres.set({ default_transaction_read_only: "on" });
        await sleep(readOnlyMs);
        const refused = await isRefused();
        await postgres.set({ default_transaction_read_only: "off" });
        return refused ? 1 : 0;
      },
    },
    {
      name: "replies to COMMIT cut",
      bitesMin: cuts,
      async make() {
        const before = (await proxy.hits()).length;
        for (let i = 0; i < cuts; i++) {
          await proxy.plan({ name: cutName, match: "^commit", action: "cut-reply", nth: 1 + i * commitsBetweenCuts });
        }
        const endAt = performance.now() + cutsWithinMs;
        while ((await proxy.hits()).length - before < cuts && performance.now() < endAt) await sleep(50);
        await proxy.clear();
        // Only those that the server had carried out.
        const hits = (await proxy.hits()).slice(before);
        return hits.filter(({ answer }) => answer === "COMMIT").length;
      },
    },
  ];
}

const isReadOnly = (thrown: unknown): boolean => (thrown as { readonly code?: string }).code === "25006";

/** All that was made of one kind, as one. */
export function evidenceOf(
  made: readonly { readonly fault: DatabaseFault; readonly bites: number }[],
): FaultEvidence[] {
  const kinds = new Map<DatabaseFault["name"], FaultEvidence>();
  for (const { fault, bites } of made) {
    const known = kinds.get(fault.name);
    kinds.set(fault.name, {
      fault: fault.name,
      bites: (known?.bites ?? 0) + bites,
      bitesMin: (known?.bitesMin ?? 0) + fault.bitesMin,
    });
  }
  return [...kinds.values()];
}
