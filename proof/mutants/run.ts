import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase, type Database, type DatabaseDriver } from "../../src/database/index.ts";
import type { BookkeeperOptions, Noted } from "./bookkeeper.ts";
import { layOut, type Place, type Sale } from "./market.ts";
import type { SellerOptions } from "./seller.ts";
import { startWorker, type Worker } from "./worker.ts";

/** One run of the market: a seller, bookkeepers that die or stand still, and what the books say in the end. */
export interface Run {
  readonly seller: Worker<Sale | "stopped">;
  bookkeeper(options?: Partial<BookkeeperOptions>, crashPoint?: string): Promise<Worker<Noted>>;
  /** As they are now. */
  books(): Promise<Books>;
  /** Sells no more, waits until all is entered, or for a while in vain. */
  end(): Promise<Books>;
}

export interface Books {
  /** What the seller was told is committed. */
  readonly sold: readonly Sale[];
  /** In the order in which they were committed. */
  readonly entries: readonly Sale[];
}

export interface Ground {
  readonly driver: DatabaseDriver;
  readonly url: string;
}

const patienceMs = 5_000;
let runs = 0;

export async function startRun<R>(
  { driver, url }: Ground,
  mutant: Partial<BookkeeperOptions> & Partial<SellerOptions>,
  play: (run: Run) => Promise<R>,
): Promise<R> {
  const place: Place = { url, schema: `run_${++runs}` };
  await layOut(driver, place);
  const database = createDatabase({ driver, schema: place.schema });
  const broker = createDatabase({ driver, schema: `${place.schema}_broker` });
  const workers: Worker<never>[] = [];
  const keep = <T>(worker: Worker<T>): Worker<T> => {
    workers.push(worker as Worker<never>);
    return worker;
  };
  const sold: Sale[] = [];
  try {
    const selling: SellerOptions = { ...place, sellers: 6, holdMsMax: 40, idCursorRelay: false, ...pick(mutant) };
    const seller = await startWorker<Sale | "stopped">("./seller.ts", selling, {
      onTold: (told) => typeof told === "object" && sold.push(told),
    });
    keep(seller);
    const books = async (): Promise<Books> => ({
      sold,
      entries: await database.sql<Sale>`
        select key, n from entry order by pg_xact_commit_timestamp(xmin), id`,
    });
    return await play({
      seller,
      books,
      async bookkeeper(options, crashPoint = "") {
        const all: BookkeeperOptions = { ...honest, ...place, ...mutant, ...options };
        return keep(
          await startWorker<Noted>("./bookkeeper.ts", all, { environment: { PLINTH_CRASH_POINT: crashPoint } }),
        );
      },
      async end() {
        const stopped = seller.hears((told) => told === "stopped");
        seller.ask("stop");
        await stopped;
        await untilOver(database, broker);
        return books();
      },
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
  }
}

const honest = {
  inbox: true,
  acknowledgeBeforeCommit: false,
  epochCheck: true,
  outside: false,
  concurrency: 8,
  beforeMs: 5,
  afterMs: 0,
};

/** What concerns the seller. */
function pick({ idCursorRelay, sellers, holdMsMax }: Partial<SellerOptions>): Partial<SellerOptions> {
  return {
    ...(idCursorRelay !== undefined && { idCursorRelay }),
    ...(sellers !== undefined && { sellers }),
    ...(holdMsMax !== undefined && { holdMsMax }),
  };
}

/** Until nothing is on its way, or nothing has moved for a while. */
async function untilOver(database: Database, broker: Database): Promise<void> {
  let left = Infinity;
  let movedAt = performance.now();
  while (left > 0 && performance.now() - movedAt < patienceMs) {
    const [outbox] = await database.sql<{ count: number }>`
      select count(*)::int as count from plinth_outbox where published_at is null`;
    const [deliveries] = await broker.sql<{ count: number }>`select count(*)::int as count from deliveries`;
    const count = (outbox?.count ?? 0) + (deliveries?.count ?? 0);
    if (count !== left) movedAt = performance.now();
    left = count;
    await sleep(100);
  }
}
