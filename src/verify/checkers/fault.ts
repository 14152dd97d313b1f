import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export interface FaultEvidence {
  readonly fault: string;
  /** How often it took effect: connections, hits of a rule, processes that are gone. */
  readonly bites: number;
  /** Fewer prove nothing. Default 1. */
  readonly bitesMin?: number;
}

/** The faults really happened. One that did not bite is no finding about the system, but makes the whole run inconclusive. */
export function checkFaultsBit(evidence: readonly FaultEvidence[]): Verdict {
  const verdict = createVerdict("faults");
  for (const { fault, bites, bitesMin = 1 } of evidence) {
    verdict.count(fault, bites);
    if (bites < bitesMin) verdict.doubt(`${fault}: it bit ${bites} times, at least ${bitesMin} were needed`);
  }
  if (evidence.length === 0) verdict.doubt("no fault was made");
  return verdict.end();
}
