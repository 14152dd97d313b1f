import type { Clock, Random } from "../base/index.ts";
import { systemClock, systemRandom } from "../base/index.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import type { IdempotencyStore } from "./idempotency.ts";
import type { Sweeper } from "./sweeper.ts";
import { createSweeper } from "./sweeper.ts";

export interface IdempotencySweeperOptions {
  readonly store: Pick<IdempotencyStore, "deleteExpired">;
  readonly service: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
}

const everyMs = 600_000;

/** Deletes keys that have expired, every ten minutes. Any number of processes may. */
export function createIdempotencySweeper(options: IdempotencySweeperOptions): Sweeper {
  const { store, service, clock = systemClock, random = systemRandom, log = silentLog } = options;
  return createSweeper({
    clock,
    random,
    everyMs,
    sweep: (pieceSize) => store.deleteExpired(pieceSize),
    onError: (thrown) => log.warn({ service, err: thrown }, "idempotency keys could not be cleaned; it is tried again"),
  });
}
