import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { startRedis } from "../../src/engines/redis/redis-server.fixture.ts";
import { combineVerdicts, type Verdict } from "../../src/verify/index.ts";
import type { Claim, Proof, ProofOptions, Shown } from "../proof.ts";
import { acknowledgedBefore, epochIgnored, idCursor, inboxOff } from "./events.ts";
import { type CacheGround, fillWithoutLease } from "./fill.ts";
import { openDriver } from "./market.ts";
import type { Scenario } from "./scenario.ts";

const scenarios: readonly Scenario<CacheGround>[] = [
  inboxOff,
  acknowledgedBefore,
  idCursor,
  epochIgnored,
  fillWithoutLease,
];

/** What each part is for: without it, a checker finds what goes wrong. */
export const mutants: Proof = {
  title: "What is left out is missed",
  how:
    "A seller and bookkeepers, processes of their own on a real Postgres, composed of the rooms of events; and readers of " +
    "a cache on a real Redis. Each scenario breaks them at its worst moment (SIGKILL at a named crash point, SIGSTOP until " +
    "somebody else has the work) and runs twice: as Plinth is, where the checkers must find nothing, and with one part left " +
    "out by an option that no app can reach, where they must find something.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const postgres = await startPostgres({ settings: { track_commit_timestamp: "on" } });
    const redis = await startRedis();
    const driver = await openDriver(postgres.url.href);
    const ground = { driver, url: postgres.url.href, cacheUrl: redis.url.href };
    try {
      const claims: Claim[] = [];
      for (const scenario of scenarios) {
        // Side by side: the machine is as slow for the one as for the other.
        const [whole, mutant] = await Promise.allSettled(
          [false, true].map((isMutant) => scenario.play(ground, { isMutant, smoke })),
        );
        const claim = compare(scenario.mutant, verdictsOf(whole), verdictsOf(mutant));
        say(`${claim.claim} ${claim.seen}`);
        claims.push(claim);
      }
      return { claims, facts: { scenarios: scenarios.length } };
    } finally {
      await driver.close();
      await redis.kill();
      await postgres.dispose();
    }
  },
};

/** Both have ended before one that broke may end the proof. */
function verdictsOf(played: PromiseSettledResult<readonly Verdict[]> | undefined): readonly Verdict[] {
  if (played?.status !== "fulfilled") throw played?.reason;
  return played.value;
}

/** Caught: it was found, and what it was left out of is sound in the same run. */
function compare(name: string, whole: readonly Verdict[], mutant: readonly Verdict[]): Claim {
  const isSound = combineVerdicts(whole) === true;
  const isFound = combineVerdicts(mutant) === false;
  const bit = whole.at(-1);
  const faults = Object.entries(bit?.counts ?? {}).map(([fault, bites]) => `${bites} ${fault}`);
  return {
    claim: `caught: ${name}`,
    seen: `${faults.join(", ")}; with it left out ${describe(mutant)}; otherwise ${describe(whole)}`,
    holds: isSound && isFound,
  };
}

/** "ledger: 3 doubled; order: 3 repeated". */
function describe(verdicts: readonly Verdict[]): string {
  const parts = verdicts.flatMap(({ checker, findings, findingCount, doubts }) => {
    const kinds = [...new Set(findings.map(({ kind }) => kind))].join(" and ");
    if (findingCount > 0) return [`${checker}: ${findingCount} ${kinds}`];
    return doubts.length > 0 ? [`${checker}: in doubt, ${doubts.join(", ")}`] : [];
  });
  return parts.length > 0 ? parts.join("; ") : "nothing is found";
}
