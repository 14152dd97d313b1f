/**
 * What a checker says. `valid` is true only when everything was seen and right; `"unknown"` when something that the claim
 * needs was not seen, which is no proof of anything; false as soon as one finding shows that the claim does not hold.
 */
export interface Verdict {
  readonly checker: string;
  readonly valid: boolean | "unknown";
  /** At most 100; `findingCount` is how many there are. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  /** Why nothing can be said, where `valid` is "unknown". */
  readonly doubts: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

export interface Finding {
  /** "lost", "duplicated". */
  readonly kind: string;
  /** The id, key or account that it is about. */
  readonly subject: string;
  readonly message: string;
}

export const findingsMax = 100;

export interface VerdictBuilder {
  find(kind: string, subject: string, message: string): void;
  doubt(why: string): void;
  count(name: string, value: number): void;
  end(): Verdict;
}

/** Each kind of finding is counted under its name. */
export function createVerdict(checker: string): VerdictBuilder {
  const findings: Finding[] = [];
  const doubts = new Set<string>();
  const counts: Record<string, number> = {};
  let findingCount = 0;
  return {
    find(kind, subject, message) {
      findingCount++;
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (findings.length < findingsMax) findings.push({ kind, subject, message });
    },
    doubt: (why) => void doubts.add(why),
    count(name, value) {
      counts[name] = value;
    },
    end: () => ({
      checker,
      valid: findingCount > 0 ? false : doubts.size > 0 ? "unknown" : true,
      findings,
      findingCount,
      doubts: [...doubts],
      counts,
    }),
  };
}

/** Several as one: wrong when one is, unknown when one is. Of none, nothing is known. */
export function combineVerdicts(verdicts: readonly Verdict[]): boolean | "unknown" {
  if (verdicts.some(({ valid }) => valid === false)) return false;
  return verdicts.length > 0 && verdicts.every(({ valid }) => valid === true) ? true : "unknown";
}

/** How often each is there. */
export function tally(items: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}
