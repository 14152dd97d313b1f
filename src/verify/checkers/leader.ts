import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

/** A time in which somebody believed that it led, by one clock for all. */
export interface Term {
  readonly owner: string;
  readonly epoch: number;
  readonly from: number;
  readonly until: number;
}

export interface LeaderOptions {
  readonly terms: readonly Term[];
  /** The epochs under which effects were committed, in the order of their commits. */
  readonly effectEpochs?: readonly number[];
}

/**
 * There is one leader at a time, and none acts under an epoch that is over. Findings: `overlap`, `shared-epoch`,
 * `epoch-back` (a later term has a lower epoch), `stale-effect` (committed after one of a higher epoch), `epoch-unknown`
 * (committed under an epoch of no term).
 */
export function checkLeader({ terms, effectEpochs = [] }: LeaderOptions): Verdict {
  const verdict = createVerdict("leader");
  const ordered = [...terms].sort((a, b) => a.from - b.from);
  const owners = new Map<number, string>();
  let reach: Term | undefined;
  for (const term of ordered) {
    const { owner, epoch, from } = term;
    const holder = owners.get(epoch);
    if (holder !== undefined && holder !== owner)
      verdict.find("shared-epoch", `${epoch}`, `${holder} and ${owner} both had it`);
    owners.set(epoch, owner);
    if (reach && reach.owner !== owner && from < reach.until)
      verdict.find("overlap", owner, `it led from ${from}, while ${reach.owner} led until ${reach.until}`);
    if (reach && epoch < reach.epoch) verdict.find("epoch-back", owner, `epoch ${epoch} came after ${reach.epoch}`);
    if (!reach || term.until > reach.until) reach = { ...term, epoch: Math.max(epoch, reach?.epoch ?? epoch) };
  }
  let highest = Number.NEGATIVE_INFINITY;
  for (const [i, epoch] of effectEpochs.entries()) {
    if (!owners.has(epoch)) verdict.find("epoch-unknown", `effect ${i}`, `nobody led under epoch ${epoch}`);
    if (epoch < highest) verdict.find("stale-effect", `effect ${i}`, `epoch ${epoch} took effect after ${highest}`);
    highest = Math.max(highest, epoch);
  }
  verdict.count("terms", terms.length);
  verdict.count("changes", Math.max(0, new Set(ordered.map(({ epoch }) => epoch)).size - 1));
  verdict.count("effects", effectEpochs.length);
  if (terms.length === 0) verdict.doubt("nobody led");
  return verdict.end();
}

export interface TicksOptions {
  /** What ran to its end: the job and the moment for which it was due. */
  readonly runs: readonly { readonly job: string; readonly dueAt: number }[];
  /** What should have run. */
  readonly expected: readonly { readonly job: string; readonly dueAt: number }[];
}

/** Each tick ran once. Findings: `missed`, `twice`, `unexpected`. */
export function checkTicks({ runs, expected }: TicksOptions): Verdict {
  const verdict = createVerdict("ticks");
  const nameOf = ({ job, dueAt }: { job: string; dueAt: number }): string => `${job} at ${dueAt}`;
  const counts = new Map<string, number>(expected.map((tick) => [nameOf(tick), 0]));
  for (const run of runs) {
    const name = nameOf(run);
    const times = counts.get(name);
    if (times === undefined) verdict.find("unexpected", name, "it was not due");
    else counts.set(name, times + 1);
  }
  for (const [name, times] of counts) {
    if (times === 0) verdict.find("missed", name, "it never ran");
    if (times > 1) verdict.find("twice", name, `it ran ${times} times`);
  }
  verdict.count("expected", expected.length);
  verdict.count("runs", runs.length);
  if (expected.length === 0) verdict.doubt("nothing was due");
  return verdict.end();
}
