import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  checkFaultsBit,
  checkRecovery,
  createHistory,
  type Operation,
  readHistory,
  type SpawnedFaultProxy,
  spawnFaultProxy,
  type Verdict,
} from "../../src/verify/index.ts";
import { openBank } from "../ledger/bank.ts";
import { type Customers, startCustomers } from "../ledger/customers.ts";
import { claimOf, judgeShop, sayFindings } from "../ledger/judgement.ts";
import { openStage, type Stage } from "../ledger/stage.ts";
import type { Claim, Proof, ProofOptions, Shown } from "../proof.ts";
import { type DatabaseFault, databaseFaults, evidenceOf } from "./faults.ts";

interface Size {
  readonly rate: number;
  readonly users: number;
  /** How often all faults are made. */
  readonly rounds: number;
  readonly readOnlyMs: number;
  readonly cuts: number;
  /** From the end of a fault to the next. */
  readonly calmMs: number;
  /** A request that begins so shortly before the next fault may run into that one: none takes longer than 10 s. */
  readonly marginMs: number;
}

const real: Size = { rate: 16, users: 80, rounds: 3, readOnlyMs: 10_000, cuts: 10, calmMs: 18_000, marginMs: 10_000 };
const short: Size = { rate: 10, users: 30, rounds: 1, readOnlyMs: 2_000, cuts: 3, calmMs: 10_000, marginMs: 3_000 };

/** From the end of a fault on nothing may fail, after so long. */
const healMsMax = 5_000;

/** The shop's checkouts while Postgres itself fails. */
export const postgres: Proof = {
  title: "Postgres fails, and comes back",
  how:
    "The shop in four processes as in the proof of the ledger, its connections led through a fault proxy in a process of its own. " +
    "While customers check out, Postgres is stopped at once (no checkpoint) and started again, all its connections are terminated, it takes no " +
    "writes for 10 s, and the replies to COMMITs that it has carried out are cut; round after round. Each single request after a " +
    "fault is counted: the shop has healed when none fails any more. An order that the fault left halfway is answered 'in " +
    "progress' until it has been given back after 30 to 40 s; that counts as an answer.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const size = smoke ? short : real;
    const folder = await mkdtemp(join(tmpdir(), "plinth-proof-postgres-"));
    let proxy: SpawnedFaultProxy | undefined;
    let stage: Stage | undefined;
    try {
      say("starting the servers and four processes");
      stage = await openStage({
        async databaseUrl(url) {
          const { hostname: host, port } = new URL(url);
          proxy = await spawnFaultProxy({ target: { host, port: Number(port) }, protocol: "postgres" });
          return proxy.address(url);
        },
      });
      if (!proxy) throw new Error("a stage asks for the address of its database");
      const history = createHistory(join(folder, "history.ndjson"));
      const bank = await openBank(stage.look);
      const customers = startCustomers({ url: stage.url, history, ...size });
      const faults = databaseFaults({ ...size, postgres: stage.postgres, proxy });
      const made = await makeFaults(faults, customers, size, say);
      customers.stop();
      await customers.done;
      const { operations } = await readHistory(history.close().path);
      const { claims, facts } = await judgeShop(stage, bank, operations, say);
      const bit = checkFaultsBit(evidenceOf(made));
      sayFindings(bit, say);
      const good = Object.entries(bit.counts).map(([fault, bites]) => `${fault} ${bites}`);
      const requests = operations.filter(({ action }) => action === "request");
      const failed = requests.filter(({ outcome }) => outcome !== "ok").length;
      sayReasons(operations, say);
      return {
        claims: [
          ...claims,
          ...faults.map(({ name }) => claimHealed(name, made, requests, size.marginMs, say)),
          claimOf("each fault took effect", [bit], { good: good.join(", ") }),
        ],
        facts: { ...facts, requests: requests.length, "requests without a good answer": failed },
      };
    } finally {
      await stage?.dispose();
      await proxy?.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Why requests and checkouts did not end well, the most frequent first. */
function sayReasons(operations: readonly Operation[], say: (text: string) => void): void {
  const counts = new Map<string, number>();
  for (const { action, outcome, reason } of operations) {
    if (outcome === "ok") continue;
    const what = `${action} ${outcome}: ${reason}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  for (const [what, count] of [...counts].sort(([, one], [, other]) => other - one)) say(`${count} × ${what}`);
}

interface Made {
  readonly fault: DatabaseFault;
  readonly bites: number;
  /** By the clock of the history. */
  readonly overAt: number;
  /** When the next began, or all ended. */
  readonly calmUntil: number;
}

async function makeFaults(
  faults: readonly DatabaseFault[],
  customers: Customers,
  { rounds, calmMs }: Size,
  say: (text: string) => void,
): Promise<Made[]> {
  const made: Made[] = [];
  while (customers.count === 0) await Promise.race([sleep(50), customers.done]);
  for (let round = 1; round <= rounds; round++) {
    for (const fault of faults) {
      const bites = await fault.make();
      const overAt = Date.now();
      say(`round ${round}: ${fault.name}: bit ${bites} times; ${customers.count} checkouts so far`);
      await sleep(calmMs);
      made.push({ fault, bites, overAt, calmUntil: Date.now() });
    }
  }
  return made;
}

function claimHealed(
  name: string,
  made: readonly Made[],
  requests: readonly Operation[],
  marginMs: number,
  say: (text: string) => void,
): Claim {
  const verdicts: Verdict[] = [];
  for (const { overAt, calmUntil } of made.filter(({ fault }) => fault.name === name)) {
    const operations = requests.filter(({ beganAt }) => beganAt < calmUntil - marginMs);
    for (const { beganAt, outcome, key, reason } of operations) {
      const isLate = beganAt >= overAt + healMsMax && outcome !== "ok";
      if (isLate) say(`${name}: ${key}: ${reason}, began ${beganAt - overAt} ms after it was over`);
    }
    verdicts.push(checkRecovery({ operations, healedAt: overAt, withinMs: healMsMax }));
  }
  const most = (count: string) => Math.max(...verdicts.map(({ counts }: Verdict) => counts[count] ?? 0));
  return claimOf(`healed within ${healMsMax / 1000} s after: ${name}`, verdicts, {
    good: `the last request that failed began ${most("recoveredMs")} ms after its end, in the worst of ${verdicts.length}`,
  });
}
