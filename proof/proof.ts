/** One thing that Plinth says of itself, shown on real servers while something breaks. */
export interface Proof {
  readonly title: string;
  /** What is set up, what is broken, what is counted: two or three sentences for the document. */
  readonly how: string;
  run(options: ProofOptions): Promise<Shown>;
}

export interface ProofOptions {
  /** A short run, to show that the proof itself works. What it shows is not kept. */
  readonly smoke: boolean;
  say(text: string): void;
}

export interface Shown {
  readonly claims: readonly Claim[];
  /** What was seen besides, by name: counts, times, settings. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface Claim {
  /** A sentence that can be false: "every acknowledged order exists". */
  readonly claim: string;
  /** What was counted or measured: "1,000 of 1,000", "0". */
  readonly seen: string;
  readonly holds: boolean;
}

/** A claim about a number that must be zero. */
export function none(claim: string, count: number): Claim {
  return { claim, seen: String(count), holds: count === 0 };
}
