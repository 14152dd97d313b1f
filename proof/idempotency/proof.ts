import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../../scripts/source/tree.ts";
import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { type Fleet, startFleet } from "../fleet.ts";
import { type Claim, none, type Proof, type ProofOptions, type Shown } from "../proof.ts";
import type { Answer } from "./client.ts";
import { pay, payUntilAnswered } from "./client.ts";

interface Plan {
  readonly keys: number;
  /** Of each, sent at once. */
  readonly copies: number;
  readonly kills: number;
}

const real: Plan = { keys: 2_000, copies: 4, kills: 20 };
const short: Plan = { keys: 150, copies: 3, kills: 2 };
const workers = 12;

/** Duplicate requests with one key, while the processes that answer them are killed. */
export const idempotency: Proof = {
  title: "A request sent again under its key has one effect and one answer",
  how:
    "A gateway, and behind it two processes that take payments, with Postgres. Each payment is sent several times at once " +
    "under one key, and again until it is answered, while the two are killed with SIGKILL in turn, in the middle of their " +
    "work. Then the table is counted, and every answer compared. Declined payments, keys with another body, and a request " +
    "that still runs are asked for as well.",
  async run({ smoke, say }: ProofOptions): Promise<Shown> {
    const plan = smoke ? short : real;
    const postgres = await startPostgres({ settings: { max_connections: "100" } });
    let fleet: Fleet | undefined;
    try {
      fleet = await startFleet({
        appFile: `${root}proof/idempotency/app.ts`,
        groups: { core: 2, edge: 1 },
        edge: "edge",
        environment: { DATABASE_URL: postgres.url.href, PLINTH_LOG: "silent" },
      });
      const url = fleet.urls[0] ?? "";
      const claims = await checkOrdinary(url);
      const outcome = await payAndKill(fleet, url, plan, say);
      const rows = await postgres.adminQuery(
        "select ref, count(*)::int as count, min(id) as id from till.payments group by ref",
      );
      claims.push(...judge(outcome, rows as unknown as readonly Row[], plan));
      return { claims, facts: factsOf(outcome, plan) };
    } finally {
      await fleet?.dispose();
      await postgres.dispose();
    }
  },
};

async function checkOrdinary(url: string): Promise<Claim[]> {
  const first = await pay(url, "plain", { ref: "plain", cents: 7 });
  const again = await pay(url, "plain", { ref: "plain", cents: 7 });
  const other = await pay(url, "plain", { ref: "plain", cents: 8 });
  const slow = { ref: "slow", cents: 7, holdMs: 300 };
  const running = pay(url, "slow", slow);
  await sleep(100);
  const meanwhile = await pay(url, "slow", slow);
  await running;
  const declined = await pay(url, "declined", { ref: "declined", cents: 13 });
  const declinedAgain = await pay(url, "declined", { ref: "declined", cents: 13 });
  return [
    {
      claim: "a repeat gets the same status and body, and says that it is one",
      seen: `${first.status}, ${again.status}${again.isReplay ? " replayed" : ""}`,
      holds: first.status === 201 && again.status === 201 && first.text === again.text && again.isReplay,
    },
    { claim: "another body is 422", seen: told(other), holds: other.status === 422 },
    {
      claim: "while the first still runs, a repeat is 409 with Retry-After",
      seen: `${told(meanwhile)}, Retry-After ${meanwhile.retryAfter}`,
      holds: meanwhile.status === 409 && meanwhile.retryAfter !== undefined,
    },
    {
      claim: "a declared refusal is repeated as well",
      seen: `${told(declined)}, ${told(declinedAgain)}${declinedAgain.isReplay ? " replayed" : ""}`,
      holds: declined.status === 400 && problemOf(declined) === problemOf(declinedAgain) && declinedAgain.isReplay,
    },
  ];
}

interface Outcome {
  /** All answers to each key. */
  readonly answers: ReadonlyMap<string, readonly Answer[]>;
  readonly kills: number;
}

interface Row {
  readonly ref: string;
  readonly count: number;
  readonly id: string;
}

async function payAndKill(fleet: Fleet, url: string, plan: Plan, say: ProofOptions["say"]): Promise<Outcome> {
  const answers = new Map<string, readonly Answer[]>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < plan.keys) {
      const key = `payment-${next++}`;
      const body = { ref: key, cents: 7 };
      const all = await Promise.all(Array.from({ length: plan.copies }, () => payUntilAnswered(url, key, body)));
      answers.set(key, all.flat());
    }
  };
  let kills = 0;
  const kill = async (): Promise<void> => {
    const core = fleet.of("core");
    for (; kills < plan.kills && next < plan.keys; kills++) {
      await sleep(500 + Math.random() * 500);
      const member = core[kills % core.length];
      await member?.kill();
      await member?.start();
    }
  };
  await Promise.all([kill(), ...Array.from({ length: workers }, work)]);
  say(`${plan.keys} payments, each sent ${plan.copies} times at once and again; ${kills} processes killed`);
  return { answers, kills };
}

function judge({ answers, kills }: Outcome, rows: readonly Row[], plan: Plan): Claim[] {
  const effects = new Map(rows.map((row) => [row.ref, row]));
  const refs = [...answers.keys()];
  const unanswered = refs.filter((ref) => !answers.get(ref)?.some(({ status }) => status === 201));
  const differing = refs.filter((ref) => textsOf(answers.get(ref)).size > 1);
  const untrue = refs.filter(
    (ref) => ![...textsOf(answers.get(ref))].every((text) => text.includes(effects.get(ref)?.id ?? "?")),
  );
  const doubled = refs.filter((ref) => (effects.get(ref)?.count ?? 0) > 1);
  const lost = refs.filter((ref) => !effects.has(ref));
  return [
    { claim: "processes were killed meanwhile", seen: String(kills), holds: kills > 0 },
    {
      claim: "every payment was answered in the end",
      seen: `${refs.length - unanswered.length} of ${plan.keys}`,
      holds: unanswered.length === 0 && refs.length === plan.keys,
    },
    none("payments that took effect twice", doubled.length),
    none("payments that were answered and did not take effect", lost.length),
    none("keys with two different answers", differing.length),
    none("answers that name another payment than the one in the table", untrue.length),
  ];
}

function textsOf(answers: readonly Answer[] = []): ReadonlySet<string> {
  return new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text));
}

function factsOf({ answers, kills }: Outcome, plan: Plan): Shown["facts"] {
  const all = [...answers.values()].flat();
  const count = (test: (answer: Answer) => boolean) => all.filter(test).length;
  return {
    payments: plan.keys,
    requests: all.length,
    replayed: count(({ isReplay }) => isReplay),
    "refused with 409": count(({ status }) => status === 409),
    "failed with 5xx or without an answer": count(({ status }) => status === undefined || status >= 500),
    "processes killed": kills,
  };
}

/** But for the name of its trace, which is the request's own. */
function problemOf({ text }: Answer): string {
  const { traceId: _own, ...rest } = JSON.parse(text);
  return JSON.stringify(rest);
}

function told({ status, reason }: Answer): string {
  return `${status}${reason === undefined ? "" : ` ${reason}`}`;
}
