/**
 * A process that uses a bank until it is told SIGTERM. Argument: `TellerOptions` as JSON. Says "ready" once it works.
 */
import { createHistory } from "../../src/verify/index.ts";
import { type BankAddress, openBank } from "./bank.ts";
import { argument, untilTold } from "./program.ts";
import { runTraffic } from "./traffic.ts";

export interface TellerOptions {
  readonly address: BankAddress;
  readonly name: string;
  readonly historyFile: string;
  readonly keys: readonly string[];
  /** Its map of the buckets stays as it was at the start. */
  readonly isFrozen: boolean;
}

const { address, name, historyFile, keys, isFrozen } = argument<TellerOptions>();
const bank = await openBank(address);
const db = bank.router(isFrozen ? { mutant: "map frozen", moveWaitMs: 200 } : {});
const history = createHistory(historyFile);
// Its map is of now, whatever comes.
await db.at(keys[0] ?? "").sql`select 1 as one`;
let isOver = false;
const told = untilTold(() => {
  isOver = true;
});
await runTraffic(
  { bank, db, history, name, keys, writers: isFrozen ? 1 : 3, insists: !isFrozen, pauseMs: 40 },
  () => isOver,
);
await told;
history.close();
process.stdout.write(`${JSON.stringify(db.stats)}\n`);
await bank.close();
