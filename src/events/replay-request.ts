import { error } from "../base/index.ts";
import type { ReplayRequest } from "./driver.ts";

/** Refuses a time that every broker would read differently, and one that is no span. */
export function checkTimes({ from, to }: ReplayRequest): void {
  for (const [name, time] of Object.entries({ from, to })) {
    if (time !== undefined && !isTime(time)) {
      throw unusable(`${name}: "${time}" is no time; write for example 2026-01-31T08:00:00Z.`);
    }
  }
  if (to !== undefined && Date.parse(to) <= Date.parse(from)) throw unusable("to: it has to be later than from.");
}

/**
 * The least time for which consumers remember what they handled. Where a broker keeps messages for longer, they remember
 * for as long. A message that one subscription has not had is kept for longer still: another may have forgotten it.
 */
export const rememberedMsMin = 7 * 86_400_000;

/** For a replay that is to let go what was handled, and begins before what consumers are sure to remember. */
export function forgotten(since: string): Error {
  return error(
    "failed_precondition",
    `from: consumers remember what they handled since ${since}, and could not let go what is older. Give a later time, or have all of it run again.`,
    { reason: "REPLAY_FORGOTTEN", executed: "no" },
  );
}

/** With its time zone: what nobody can misread. */
function isTime(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text))
  );
}

function unusable(message: string): Error {
  return error("invalid_argument", message, { reason: "REPLAY_UNUSABLE", executed: "no" });
}
