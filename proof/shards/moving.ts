import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Move, MoveCrashPointName, ShardedDatabaseStats } from "../../src/shards/index.ts";
import type { Operation } from "../../src/verify/index.ts";
import { createHistory, readHistory } from "../../src/verify/index.ts";
import { type Bank, openBank, prepareBank } from "./bank.ts";
import { eventsAreThrough, readEvidence } from "./evidence.ts";
import { type Judgement, judge } from "./judgement.ts";
import { type Killed, killMovers, moveRest } from "./killing.ts";
import { type Program, startProgram } from "./program.ts";
import type { Stage } from "./stage.ts";
import type { TellerOptions } from "./teller.ts";
import { load } from "./traffic.ts";

export interface MovingOptions {
  readonly keyCount: number;
  readonly notesEach: number;
  readonly points: readonly MoveCrashPointName[];
  /** Moved by each mover that is killed. */
  readonly bucketsEach: number;
  /** Moved together by the others. */
  readonly bucketsPerMove: number;
  /** Moved by the others, of each source; at most. */
  readonly bucketsMax: number;
  say(text: string): void;
}

export interface Moving {
  readonly judgement: Judgement;
  readonly operations: readonly Operation[];
  readonly killed: readonly Killed[];
  readonly moves: readonly Move[];
  /** When the moves that nobody disturbed began and ended. */
  readonly undisturbed: { readonly beganAt: number; readonly endedAt: number };
  readonly frozen: ShardedDatabaseStats;
  readonly areEventsThrough: boolean;
  readonly wrongBuckets: number;
  readonly events: number;
  readonly bucketsByShard: Readonly<Record<string, number>>;
}

const schema = "bank";

/** A bank on two servers in use; two more join it, all processes are restarted one by one, and its buckets spread. */
export async function moveUnderTraffic(stage: Stage, options: MovingOptions): Promise<Moving> {
  const { say, keyCount, notesEach } = options;
  const keys = Array.from({ length: keyCount }, (_, i) => `customer-${i}`);
  const two = await stage.address(schema, 2);
  const four = await stage.address(schema, 4);
  const files: string[] = [];
  const teller = (name: string, address: typeof two, isFrozen = false): Program => {
    const historyFile = join(stage.folder, `${name}.jsonl`);
    files.push(historyFile);
    return startProgram("teller", { address, name, historyFile, keys, isFrozen } satisfies TellerOptions);
  };
  const before = await openBank(two);
  await prepareBank(before);
  await fill(before, join(stage.folder, "load.jsonl"), keys, notesEach);
  files.push(join(stage.folder, "load.jsonl"));
  await before.close();
  const running = new Map<string, Program>();
  const begin = async (name: string, program: Program): Promise<void> => {
    running.set(name, program);
    await program.ready;
  };
  for (const name of ["first", "second"]) await begin(`courier ${name}`, startProgram("courier", two));
  for (const name of ["one", "two"]) await begin(name, teller(name, two));
  say(`${keyCount} accounts on two servers, two processes write`);
  await sleep(2_000);

  const bank = await openBank(four);
  await prepareBank(bank);
  await begin("frozen", teller("frozen", four, true));
  for (const name of ["first", "second"]) {
    await running.get(`courier ${name}`)?.stop();
    await begin(`courier ${name}`, startProgram("courier", four));
  }
  for (const name of ["one", "two"]) {
    await running.get(name)?.stop();
    await begin(name, teller(`${name}-again`, four));
  }
  say("two more servers, and every process knows them");
  const killed = await killMovers({ bank, address: four, keys, ...options });
  const beganAt = Date.now();
  const moves = await moveRest(bank, { keys, ...options });
  const endedAt = Date.now();
  say(`${moves.length} moves that nobody disturbed, in ${endedAt - beganAt} ms`);
  await Promise.all(["one", "two"].map((name) => running.get(name)?.stop()));
  const frozen = JSON.parse((await running.get("frozen")?.stop()) ?? "{}") as ShardedDatabaseStats;
  say("nobody writes any more");
  const areEventsThrough = await eventsAreThrough(bank);
  await Promise.all(["first", "second"].map((name) => running.get(`courier ${name}`)?.stop()));

  const evidence = await readEvidence(bank);
  const operations = (await Promise.all(files.map((file) => readHistory(file)))).flatMap((each) => each.operations);
  const judgement = judge(operations, evidence, keys, notesEach);
  const { effects, wrongBuckets, bucketsByShard } = evidence;
  await bank.close();
  return {
    ...{ judgement, operations, killed, moves, frozen, areEventsThrough, wrongBuckets, bucketsByShard },
    undisturbed: { beganAt, endedAt },
    events: effects.length,
  };
}

/** One version of each account, by one process. */
export async function fill(
  bank: Bank,
  file: string,
  keys: readonly string[],
  notesEach: number,
  name = "load",
): Promise<void> {
  const history = createHistory(file);
  const parts = { writers: 0, insists: true, pauseMs: 0 };
  await load({ bank, db: bank.router(), history, name, keys, ...parts }, notesEach);
  history.close();
}
