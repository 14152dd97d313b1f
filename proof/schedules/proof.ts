import { fileURLToPath } from "node:url";
import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { checkFaultsBit } from "../../src/verify/index.ts";
import type { Fleet } from "../fleet.ts";
import { startFleet } from "../fleet.ts";
import type { Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import { everyMs } from "./app.ts";
import type { Judged } from "./evidence.ts";
import { judge, recordLeases } from "./evidence.ts";
import type { LeaderFaults } from "./faults.ts";
import { hurtLeaders } from "./faults.ts";
import { ticksTwiceWithoutFence } from "./mutant.ts";

const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));
const processes = 5;

/** Schedules whose leader is killed and stopped, over and over. */
export const schedules: Proof = {
  title: "Each tick of a schedule runs once",
  how:
    `${processes} processes of an app with a schedule (\`every: "${everyMs / 1000}s"\`, \`catchUp: "all"\`) on Postgres. The handler writes ` +
    "its tick in `tx` into a table without a unique key and keeps the transaction open for a quarter of a second. By turns " +
    "the process that leads is killed with SIGKILL and started again, and stopped with SIGSTOP for 20 s, longer than its " +
    "lease of 15 s; every other time when a tick is half done. A trigger records each change of the lease by the " +
    "database's clock. The control is the scheduler without epoch and without the tick's row.",
  async run({ smoke, say }): Promise<Shown> {
    const server = await startPostgres();
    let fleet: Fleet | undefined;
    try {
      fleet = await startFleet({
        appFile,
        groups: { workers: processes },
        edge: "workers",
        environment: { DATABASE_URL: server.url.href, PLINTH_LOG: "warn" },
      });
      await recordLeases(server);
      const faults = await hurtLeaders({ server, members: fleet.members, ticks: smoke ? 20 : 200, say });
      const judged = await judge(server, everyMs);
      await fleet.dispose();
      const twice = await ticksTwiceWithoutFence(server.url);
      return shownOf(judged, faults, { wanted: smoke ? 20 : 200, twice });
    } finally {
      await fleet?.dispose();
      await server.dispose();
    }
  },
};

interface Expected {
  readonly wanted: number;
  /** Ticks that took effect twice in the control. */
  readonly twice: number;
}

function shownOf(
  { ticks, leader, failed, repeated }: Judged,
  faults: LeaderFaults,
  { wanted, twice }: Expected,
): Shown {
  const { kills, stops, inTick, gapMsMax } = faults;
  const count = (verdict: Judged["ticks"], kind: string): number => verdict.counts[kind] ?? 0;
  const bitten = checkFaultsBit([
    { fault: "kills", bites: kills },
    { fault: "stops", bites: stops },
  ]);
  return {
    claims: [
      {
        claim: "each tick from the first to the last ran once (checkTicks)",
        seen: `${count(ticks, "expected")} due, ${count(ticks, "runs")} ran, ${count(ticks, "twice")} twice, ${count(ticks, "missed")} missed`,
        holds: ticks.valid === true && count(ticks, "expected") >= wanted,
      },
      {
        claim: "one leader at a time, and no effect under an epoch that is over (checkLeader)",
        seen: `${count(leader, "terms")} terms, ${leader.findingCount} findings`,
        holds: leader.valid === true,
      },
      none("ticks given up", failed),
      {
        claim: "the faults bit",
        seen: `${kills} leaders killed, ${stops} stopped`,
        holds: bitten.valid === true,
      },
      {
        claim: "without epoch and row, a tick runs twice (control)",
        seen: `${twice} twice`,
        holds: twice > 0,
      },
    ],
    facts: {
      processes,
      "stopped in an open tick": inTick,
      "ticks that were half done and ran again": repeated,
      "longest ms from a fault to the next tick": Math.round(gapMsMax),
    },
  };
}
