import { goalsOf } from "./goals.ts";
import { type ProfileSummary, renderProfile } from "./profile-summary.ts";
import type { Result } from "./report.ts";
import { isMissed, type Whys } from "./whys.ts";

/** Of goals that are not reached: why, and the profile that says so. Nothing when all are. */
export function renderShortfalls(
  result: Pick<Result, "tables" | "goals">,
  whys: Whys | undefined,
  profile: ProfileSummary | undefined,
): string[] {
  const goals = goalsOf(result);
  if (goals.every(({ isReached }) => isReached)) return [];
  const { date, reasons = {} } = whys ?? {};
  const shown = Object.entries(reasons).filter(([name]) => isMissed(name, goals));
  return [
    ...(shown.length > 0 ? [`\nNot reached, why, and what was tried (written ${date}):\n`] : []),
    ...shown.map(([name, why]) => `- **${name}**: ${why}`),
    ...(profile ? [renderProfile(profile)] : []),
  ];
}
