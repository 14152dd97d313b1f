/** Who is let in: everybody, or whoever has a token and stays within a limit. */
export type Way = "plain" | "guarded";

/** A gateway under measurement. */
export interface HopProgram {
  readonly url: string;
  /** Processor time so far. */
  cpuUs(): Promise<number>;
  stop(): Promise<void>;
}

export interface HopCandidate extends HopProgram {
  readonly name: string;
  /** What it claims to have on, and is held to. */
  readonly checksTokens: boolean;
  readonly hasLimits: boolean;
}
