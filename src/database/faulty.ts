import type { Clock, Random } from "../base/index.ts";
import { createSeededRandom, systemClock } from "../base/index.ts";
import type { DatabaseDriver, QueryResult, Session } from "./driver.ts";
import { toDatabaseError } from "./errors.ts";

export interface DatabaseFaults {
  /** Part of the statements whose connection is lost, 0 to 1. */
  lossRate?: number;
  /** Part of the lost ones that were carried out: only the answer is lost. Default 0.5. */
  afterEffectRate?: number;
  /** Part of the acquisitions that find no server. */
  refuseRate?: number;
  /** The longest delay of a statement, in ms; each takes a random part of it. */
  delayMsMax?: number;
}

/** A driver that loses connections as told, by seed. `faults` may be changed at any time. */
export interface FaultyDatabase extends DatabaseDriver {
  readonly faults: DatabaseFaults;
  /** Losses made until now: a run in which no fault bit proves nothing. */
  readonly lossCount: number;
  /** The next statement that matches loses its connection, before it is sent or after it took effect. */
  loseNext(statement: RegExp, when: "before" | "after"): void;
}

export function createFaultyDatabase(
  driver: DatabaseDriver,
  options: { faults?: DatabaseFaults; random?: Random; clock?: Clock } = {},
): FaultyDatabase {
  const { random = createSeededRandom(1), clock = systemClock } = options;
  const faults: DatabaseFaults = { ...options.faults };
  const planned: { statement: RegExp; when: "before" | "after" }[] = [];
  let lossCount = 0;

  const fate = (text: string): "before" | "after" | undefined => {
    const at = planned.findIndex(({ statement }) => statement.test(text));
    if (at >= 0) return planned.splice(at, 1)[0]?.when;
    if (random.next() >= (faults.lossRate ?? 0)) return undefined;
    return random.next() < (faults.afterEffectRate ?? 0.5) ? "after" : "before";
  };

  const wrap = (session: Session): Session => {
    let lost = false;
    const lose = (text: string): never => {
      lossCount++;
      lost = true;
      session.release(true);
      throw connectionLost(text);
    };
    const through = async <R>(text: string, work: () => Promise<R>): Promise<R> => {
      if (lost) throw connectionLost(text);
      if (faults.delayMsMax) await clock.sleep(random.next() * faults.delayMsMax);
      const when = fate(text);
      if (when === "before") return lose(text);
      const result = await work();
      return when === "after" ? lose(text) : result;
    };
    return {
      query: (text, values, limits) => through<QueryResult>(text, () => session.query(text, values, limits)),
      script: (text, limits) => through(text, () => session.script(text, limits)),
      release: (broken) => session.release(broken),
    };
  };

  return {
    name: `faulty ${driver.name}`,
    faults,
    get flags() {
      return driver.flags;
    },
    get stats() {
      return driver.stats;
    },
    get lossCount() {
      return lossCount;
    },
    loseNext: (statement, when) => void planned.push({ statement, when }),
    open: () => driver.open(),
    close: () => driver.close(),
    async acquire(lease) {
      if (random.next() < (faults.refuseRate ?? 0)) throw toDatabaseError({ code: "57P03", message: "made to refuse" });
      return wrap(await driver.acquire(lease));
    },
  };
}

function connectionLost(text: string): Error {
  return toDatabaseError({ code: "08006", message: "the connection was made to break" }, text);
}
