/**
 * A process that moves buckets. Argument: `MoverOptions` as JSON. Either moves what it is told, and may kill itself with
 * SIGKILL at a point on the way, or stands by until SIGTERM and finishes what others left.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isError } from "../../src/base/index.ts";
import { createMover } from "../../src/shards/index.ts";
import { type BankAddress, openBank, shardBy } from "./bank.ts";
import { argument, untilTold } from "./program.ts";

export interface MoverOptions {
  readonly address: BankAddress;
  readonly leaseMs: number;
  readonly bucketsPerMove: number;
  /** Undefined stands by. */
  readonly move?: { readonly buckets: readonly number[]; readonly to: string };
  readonly crashPoint?: string;
}

const { address, leaseMs, bucketsPerMove, move, crashPoint } = argument<MoverOptions>();
const bank = await openBank(address);
const mover = createMover({
  directory: bank.directory,
  shards: bank.databases,
  service: bank.name,
  shardBy,
  leaseMs,
  bucketsPerMove,
  batchRows: 200,
  // What is given up on purpose: the events of the source never leave.
  ...(crashPoint === "move.aborting" && { pendingEvents: async () => 1, pauseMsMax: 200, fenceAttempts: 1 }),
  crashPoint(name) {
    if (name === crashPoint) process.kill(process.pid, "SIGKILL");
  },
});
if (move) {
  const ended = await mover.move(move);
  process.stdout.write(JSON.stringify(ended));
} else {
  let isOver = false;
  const told = untilTold(() => {
    isOver = true;
  });
  while (!isOver) {
    try {
      await mover.resume();
    } catch (thrown) {
      if (!isError(thrown, "SHARD_MOVE_TAKEN_OVER")) throw thrown;
    }
    await sleep(100);
  }
  await told;
}
await bank.close();
