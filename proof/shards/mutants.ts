import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRelay } from "../../src/events/index.ts";
import { bucketOf, createMover } from "../../src/shards/index.ts";
import { createHistory, readHistory } from "../../src/verify/index.ts";
import { type Bank, openBank, prepareBank, shardBy } from "./bank.ts";
import { eventsAreThrough, readEvidence } from "./evidence.ts";
import { type Judgement, judge } from "./judgement.ts";
import { fill } from "./moving.ts";
import { createReader } from "./reader.ts";
import type { Stage } from "./stage.ts";
import { runTraffic } from "./traffic.ts";

const keys = Array.from({ length: 24 }, (_, i) => `customer-${i}`);

/**
 * A writer without the fence, whose map is older than a move, beside one that has it: what the checkers say. It holds still
 * during the move, which would find its rows when it compares both sides, and be given up.
 */
export async function withFenceOff(stage: Stage): Promise<Judgement> {
  const bank = await newBank(stage, "unfenced");
  const file = join(stage.folder, "unfenced.jsonl");
  const history = createHistory(file);
  await fill(bank, `${file}.load`, keys, 1);
  const unfenced = bank.router({ mutant: "fence off", refreshMs: 1e9 });
  await unfenced.at(keys[0] as string).sql`select 1 as one`;
  await moveAway(bank);
  let isOver = false;
  const parts = { bank, history, keys, writers: 3, insists: true, pauseMs: 10 };
  const traffic = Promise.all([
    runTraffic({ ...parts, db: bank.router(), name: "fenced" }, () => isOver),
    runTraffic({ ...parts, db: unfenced, name: "unfenced" }, () => isOver),
  ]);
  await sleep(1_000);
  isOver = true;
  await traffic;
  history.close();
  return judged(bank, [`${file}.load`, file]);
}

/** A move that does not wait for the events of its buckets, where the source's relay is slow: what the checkers say. */
export async function withoutDrain(stage: Stage): Promise<Judgement> {
  const bank = await newBank(stage, "hasty");
  const file = join(stage.folder, "hasty.jsonl");
  await fill(bank, file, keys, 1);
  const broker = bank.broker();
  await broker.open();
  const reader = createReader(bank, broker);
  await reader.start();
  const relays = [...bank.databases].map(([shard, database]) => ({
    shard,
    relay: createRelay({ service: bank.name, database, broker }),
  }));
  const start = (shard: string): void => relays.find((each) => each.shard === shard)?.relay.start();
  await moveAway(bank);
  await fill(bank, `${file}.again`, keys, 0, "again");
  start("b");
  await sleep(1_000);
  start("a");
  await eventsAreThrough(bank);
  await Promise.all(relays.map(({ relay }) => relay.drain()));
  await reader.drain();
  await broker.close();
  return judged(bank, [file, `${file}.again`]);
}

async function newBank(stage: Stage, schema: string): Promise<Bank> {
  const bank = await openBank(await stage.address(schema, 2));
  await prepareBank(bank);
  return bank;
}

/** All buckets of the keys to b, without a look at the outbox. */
async function moveAway(bank: Bank): Promise<void> {
  const { directory, databases, name } = bank;
  const mover = createMover({
    directory,
    shards: databases,
    service: name,
    shardBy,
    bucketsPerMove: 64,
    pendingEvents: async () => 0,
  });
  for (const { state, note } of await mover.move({ buckets: keys.map(bucketOf), to: "b" }))
    if (state !== "DONE") throw new Error(`the move of the mutant ended as ${state}: ${note}`);
}

async function judged(bank: Bank, files: readonly string[]): Promise<Judgement> {
  const operations = (await Promise.all(files.map((file) => readHistory(file)))).flatMap((each) => each.operations);
  const judgement = judge(operations, await readEvidence(bank), keys, 1);
  await bank.close();
  return judgement;
}
