import type { Direction } from "./fault.ts";

/** What happened to the bytes of one direction. */
export interface StreamCounts {
  /** Passed on. */
  readonly bytes: number;
  readonly delayedBytes: number;
  readonly throttledBytes: number;
  readonly slices: number;
  /** Had to wait because of a black hole. */
  readonly heldBytes: number;
  /** Never arrived: what was under way when the connection was cut, or was swallowed. */
  readonly droppedBytes: number;
}

/** The proof that a fault bit: a run in which these did not rise is no evidence. */
export interface FaultCounts {
  readonly connections: number;
  readonly openConnections: number;
  /** Connections on which at least one fault took effect. */
  readonly affectedConnections: number;
  readonly refusals: number;
  /** Connections that were reset, cut or left half open. */
  readonly resets: number;
  readonly cuts: number;
  readonly halfOpened: number;
  readonly slowCloses: number;
  /** Connections that the target did not take. */
  readonly targetFailures: number;
  /** Connections that rules could not look into: encrypted, or in a mode that the rules do not follow. */
  readonly unreadConnections: number;
  readonly up: StreamCounts;
  readonly down: StreamCounts;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] extends StreamCounts ? Writable<StreamCounts> : T[K] };
export type StreamTally = Writable<StreamCounts>;
export type FaultTally = Omit<Writable<FaultCounts>, Direction> & Record<Direction, StreamTally>;

export function createTally(): FaultTally {
  return {
    connections: 0,
    openConnections: 0,
    affectedConnections: 0,
    refusals: 0,
    resets: 0,
    cuts: 0,
    halfOpened: 0,
    slowCloses: 0,
    targetFailures: 0,
    unreadConnections: 0,
    up: streamTally(),
    down: streamTally(),
  };
}

const streamTally = (): StreamTally => ({
  bytes: 0,
  delayedBytes: 0,
  throttledBytes: 0,
  slices: 0,
  heldBytes: 0,
  droppedBytes: 0,
});
