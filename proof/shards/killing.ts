import { setTimeout as sleep } from "node:timers/promises";
import type { Move, MoveCrashPointName } from "../../src/shards/index.ts";
import { bucketOf, createMover, planRebalance, readBuckets } from "../../src/shards/index.ts";
import { type Bank, type BankAddress, shardBy } from "./bank.ts";
import type { MoverOptions } from "./mover.ts";
import { startProgram } from "./program.ts";
import { shardNames } from "./stage.ts";

/** Short, so that the one who stands by comes soon. In an app it is 15 s. */
export const leaseMs = 3_000;

/** One mover that killed itself, and what became of its move. */
export interface Killed {
  readonly point: MoveCrashPointName;
  /** Whether it really died at the point. */
  readonly bit: boolean;
  readonly beganAt: number;
  readonly endedAt: number;
  readonly state: string;
}

export interface KillingOptions {
  readonly bank: Bank;
  readonly address: BankAddress;
  readonly points: readonly MoveCrashPointName[];
  /** Moved, or tried to, by each of them. */
  readonly bucketsEach: number;
  /** Buckets without one of these keys are left to others. */
  readonly keys: readonly string[];
  say(text: string): void;
}

/** At each point in turn, a mover of some buckets that are due kills itself, while another process stands by. */
export async function killMovers(options: KillingOptions): Promise<readonly Killed[]> {
  const { bank, address, points, bucketsEach, say } = options;
  const used = new Set(options.keys.map(bucketOf));
  const standby = startProgram("mover", { address, leaseMs, bucketsPerMove: bucketsEach } satisfies MoverOptions);
  await standby.ready;
  const killed: Killed[] = [];
  for (const [turn, point] of points.entries()) {
    const { buckets, to } = await nextMove(bank, turn, used, bucketsEach);
    const beganAt = Date.now();
    const mover = startProgram("mover", {
      address,
      leaseMs,
      bucketsPerMove: bucketsEach,
      move: { buckets, to },
      crashPoint: point,
    } satisfies MoverOptions);
    const { signal } = await mover.over;
    const state = await endOf(bank);
    const endedAt = Date.now();
    killed.push({ point, bit: signal === "SIGKILL", beganAt, endedAt, state });
    say(`mover killed at ${point}: the next one ended the move as ${state}, ${endedAt - beganAt} ms in all`);
  }
  await standby.stop();
  return killed;
}

/** Some of the buckets that a rebalance over all shards would move, by turns from each source. */
async function nextMove(bank: Bank, turn: number, used: ReadonlySet<number>, count: number) {
  const planned = planRebalance(await readBuckets(bank.directory, bank.name), shardNames);
  const next = planned[turn % planned.length];
  const buckets = (next?.buckets ?? []).filter((bucket) => used.has(bucket)).slice(0, count);
  if (!next || buckets.length === 0) throw new Error("nothing is left to be moved");
  return { buckets, to: next.to };
}

/** Waits until nothing is on the way; the state of the last move. */
async function endOf({ directory, name }: Bank): Promise<string> {
  for (const endsAt = performance.now() + 60_000; performance.now() < endsAt; await sleep(20)) {
    const [row] = await directory.sql<{ state: string; open: number }>`
      select state, (select count(*)::int from moves where service = ${name} and state not in ('DONE', 'ABORTED')) as open
      from moves where service = ${name} order by id desc limit 1`;
    if (row?.open === 0) return row.state;
  }
  throw new Error("nobody ended the move within 60 s");
}

export interface RestOptions {
  readonly bucketsPerMove: number;
  /** Of each source, at most; those with keys first. */
  readonly bucketsMax: number;
  readonly keys: readonly string[];
}

/** Moves what is still due, undisturbed. */
export async function moveRest(bank: Bank, options: RestOptions): Promise<readonly Move[]> {
  const { directory, databases, name } = bank;
  const { bucketsPerMove, bucketsMax, keys } = options;
  const used = new Set(keys.map(bucketOf));
  const mover = createMover({ directory, shards: databases, service: name, shardBy, bucketsPerMove });
  const ended: Move[] = [];
  for (const { buckets, to } of planRebalance(await readBuckets(directory, name), shardNames)) {
    const ordered = buckets.toSorted((a, b) => Number(used.has(b)) - Number(used.has(a)) || a - b);
    ended.push(...(await mover.move({ buckets: ordered.slice(0, bucketsMax), to })));
  }
  return ended;
}
