import { setTimeout as sleep } from "node:timers/promises";
import { checkFaultsBit, checkLedger, checkOrder, type Verdict } from "../../src/verify/index.ts";
import type { Sale } from "./market.ts";
import { type Books, type Ground, type Run, startRun } from "./run.ts";
import type { Scenario } from "./scenario.ts";

/** Bookkeepers die between commit and acknowledgement: what comes again must be known again. */
export const inboxOff: Scenario<Ground> = {
  mutant: "the inbox is off",
  play: (ground, { isMutant, smoke }) =>
    startRun(ground, { inbox: !isMutant }, async (run) => {
      const died = await dieOver(run, "inbox.committed:12", smoke ? 1 : 5);
      return judge(await run.end(), died);
    }),
};

/** Bookkeepers die between effect and commit: what was not committed must come again. */
export const acknowledgedBefore: Scenario<Ground> = {
  mutant: "acknowledged before the commit",
  play: (ground, { isMutant, smoke }) =>
    startRun(ground, { acknowledgeBeforeCommit: isMutant, beforeMs: 40 }, async (run) => {
      const died = await dieOver(run, "inbox.written:12", smoke ? 1 : 5);
      return judge(await run.end(), died);
    }),
};

/** Sellers commit late what they drew early, and a bookkeeper is killed. */
export const idCursor: Scenario<Ground> = {
  mutant: "a relay that remembers the last id",
  play: (ground, { isMutant, smoke }) =>
    startRun(ground, { idCursorRelay: isMutant }, async (run) => {
      const died = await dieOver(run, "delivery.claimed:12", smoke ? 1 : 3);
      return judge(await run.end(), died);
    }),
};

/**
 * A bookkeeper is stopped after its entry and before its acknowledgement, until another one has the event; then it goes on.
 * The books are outside, so an entry may come again, directly after itself: what must not be is an older one after a newer.
 */
export const epochIgnored: Scenario<Ground> = {
  mutant: "the broker does not check the epoch",
  play: (ground, { isMutant, smoke }) => {
    const books = { outside: true, inbox: false, concurrency: 1, epochCheck: !isMutant };
    return startRun(ground, { ...books, sellers: 1, holdMsMax: 1 }, async (run) => {
      const quick = await run.bookkeeper({ beforeMs: 0, afterMs: 600 });
      let stops = 0;
      for (let i = 0; i < (smoke ? 2 : 4); i++) {
        const { key, n } = await quick.hears(({ what }) => what === "written");
        quick.signal("SIGSTOP");
        // Who has just had a key has it next, too: another one that were there all the time would leave nothing to this one.
        const slow = await run.bookkeeper({ beforeMs: 700, afterMs: 0 });
        await slow.hears((noted) => noted.what === "come" && noted.key === key && noted.n === n);
        quick.signal("SIGCONT");
        stops++;
        await sleep(1000);
        await slow.kill();
      }
      await run.seller.kill();
      const { entries } = await run.books();
      const effects = toEffects(entries.filter((entry, i) => !isSame(entry, entries[i - 1])));
      return [checkOrder({ effects }), checkFaultsBit([{ fault: "SIGSTOP until another has it", bites: stops }])];
    });
  },
};

const isSame = (one: Sale, other: Sale | undefined): boolean => one.key === other?.key && one.n === other.n;

const toEffects = (entries: readonly Sale[]) =>
  entries.map(({ key, n }) => ({ subscription: "books", key, sequence: n }));

/** One after the other dies at the crash point; then comes one that lives. Answers how many have died. */
async function dieOver(run: Run, crashPoint: string, times: number): Promise<number> {
  let died = 0;
  for (let i = 0; i < times; i++) {
    const mortal = await run.bookkeeper({}, crashPoint);
    if ((await mortal.ended) === "SIGKILL") died++;
  }
  await run.bookkeeper();
  return died;
}

function judge({ sold, entries }: Books, died: number): readonly Verdict[] {
  const name = ({ key, n }: Sale) => `${key} ${n}`;
  const published: Record<string, number> = {};
  for (const { key, n } of sold) published[key] = Math.max(n, published[key] ?? 0);
  return [
    checkLedger({
      orders: sold.map((sale) => ({ id: name(sale), outcome: "ok" })),
      effects: { entered: entries.map(name) },
    }),
    checkOrder({ effects: toEffects(entries), published, subscriptions: ["books"] }),
    checkFaultsBit([{ fault: "bookkeepers that died", bites: died }]),
  ];
}
