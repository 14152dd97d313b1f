import { type ProfileSummary, renderProfile } from "./profile-summary.ts";
import type { Result } from "./report.ts";
import { goalsOf } from "./summary.ts";

/** Of goals that are not reached: why, and the profile that says so. Nothing when all are. */
export function renderShortfalls(
  result: Pick<Result, "tables" | "goals">,
  whys: Readonly<Record<string, string>>,
  profile: ProfileSummary | undefined,
): string[] {
  const missed = goalsOf(result).filter(({ isReached }) => !isReached);
  if (missed.length === 0) return [];
  const reasons = Object.entries(whys).filter(([name]) => missed.some(({ what }) => what.includes(name)));
  return [
    ...(reasons.length > 0 ? ["\nNot reached, why, and what was tried:\n"] : []),
    ...reasons.map(([name, why]) => `- ${name}: ${why}`),
    ...(profile ? [renderProfile(profile)] : []),
  ];
}
