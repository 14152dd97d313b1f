import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisServer } from "../../src/engines/redis/redis-server.fixture.ts";
import { checkFaultsBit, createHistory, type FaultEvidence, readHistory } from "../../src/verify/index.ts";
import type { Proof, ProofOptions, Shown } from "../proof.ts";
import { openBank } from "./bank.ts";
import { startCustomers } from "./customers.ts";
import { claimOf, judgeShop, sayFindings } from "./judgement.ts";
import { startKilling } from "./killing.ts";
import { openStage } from "./stage.ts";

interface Size {
  readonly checkouts: number;
  readonly rate: number;
  readonly users: number;
  readonly pauseMs: number;
  readonly roundsMin: number;
  readonly roundsMax: number;
}

const real: Size = { checkouts: 1000, rate: 16, users: 80, pauseMs: 2000, roundsMin: 5, roundsMax: Infinity };
const short: Size = { checkouts: 60, rate: 12, users: 30, pauseMs: 1000, roundsMin: 1, roundsMax: 1 };

/** The shop's checkouts while its processes are killed. */
export const ledger: Proof = {
  title: "Checkouts survive SIGKILL of every process, and a Redis that forgets",
  how:
    "The shop's twelve services in four processes on a Postgres and a Redis of its own. Careful customers browse, fill carts and " +
    "check out; a checkout without an answer is sent again under its Idempotency-Key. Meanwhile each process is killed with SIGKILL and " +
    "started again, one after the other, round after round, and Redis loses all it has once. Then the rows of every service and the mail " +
    "folder are compared with what customers were told. A mail is a file under the mail's id: that it was written twice under " +
    "that id would change nothing and is not seen; a real mail server would have to be given that id to do the same.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const size = smoke ? short : real;
    const folder = await mkdtemp(join(tmpdir(), "plinth-ledger-"));
    say("starting the servers and four processes");
    const stage = await openStage();
    try {
      const history = createHistory(join(folder, "history.ndjson"));
      const bank = await openBank(stage.look);
      const isEnough = (count: number) => count >= size.checkouts && killing.rounds >= size.roundsMin;
      const customers = startCustomers({ url: stage.url, history, isEnough, ...size });
      const killing = startKilling({ ...size, fleet: stage.fleet, isTime: () => customers.count > 0, say });
      const flush = flushHalfway(stage.redis, () => customers.count >= size.checkouts / 2, say);
      const report = await customers.done;
      await killing.stop();
      const faults = checkFaultsBit([...killing.evidence(), await flush]);
      sayFindings(faults, say);
      say(`${customers.count} checkouts in ${report.seconds.toFixed(0)} s, waiting for rest`);
      const file = history.close();
      const { operations } = await readHistory(file.path);
      const { claims, facts } = await judgeShop(stage, bank, operations, say);
      const wrong = Object.keys(report.operations.all.wrong);
      for (const answer of wrong) say(`wrong answer: ${answer}`);
      const requests = operations.filter(({ action }) => action === "request");
      const unanswered = requests.filter(({ outcome }) => outcome !== "ok").length;
      return {
        claims: [
          ...claims,
          { claim: "no answer was wrong", seen: String(wrong.length), holds: wrong.length === 0 },
          claimOf("each process was killed and Redis lost what it had", [faults], {
            good: Object.entries(faults.counts)
              .map(([fault, bites]) => `${fault} ${bites}`)
              .join(", "),
          }),
        ],
        facts: { ...facts, requests: requests.length, "requests without a good answer": unanswered },
      };
    } finally {
      await stage.dispose();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Once, when it is time. What it had is what it lost. */
async function flushHalfway(
  redis: RedisServer,
  isTime: () => boolean,
  say: (text: string) => void,
): Promise<FaultEvidence> {
  while (!isTime()) await sleep(50);
  const size = async () => Number(/:(\d+)/.exec(await redis.command("DBSIZE"))?.[1] ?? 0);
  const before = await size();
  await redis.command("FLUSHALL");
  const after = await size();
  say(`flushed Redis: ${before} keys before, ${after} after`);
  return { fault: "keys lost by FLUSHALL", bites: before - after };
}
