import { StartError } from "../../base/index.ts";

/** What can be wrong with the bytes of one direction. Everything is off unless named. */
export interface StreamFaults {
  /** Every byte comes so much later. Their order is kept. */
  readonly latencyMs?: number;
  /** On top of the latency, a random part of this. */
  readonly jitterMs?: number;
  /** At most so many bytes a second. */
  readonly bytesPerSecond?: number;
  /** In pieces of at most so many bytes, each in a packet of its own as far as the system allows. */
  readonly sliceBytes?: number;
  /**
   * Nothing arrives, not even the end of the connection. What was sent is kept, up to the bound of the queue, and comes
   * when the hole is closed, as TCP would send it again: bytes never go missing from a connection that lives.
   */
  readonly blackHole?: boolean;
  /** After so many more bytes the receiver sees the end, and the sender a reset. */
  readonly cutAfterBytes?: number;
}

/** `up` is what the client sends to the target, `down` what the target answers. */
export type Direction = "up" | "down";

export interface Faults {
  readonly up?: StreamFaults;
  readonly down?: StreamFaults;
  /**
   * `"reset"`: a new connection is accepted and reset at once, which the counts show. `"closed"`: nobody listens, as when
   * the server is gone; who was refused then, only the clients know.
   */
  readonly refuse?: "reset" | "closed";
  /** The end of a connection is passed on so much later. */
  readonly slowCloseMs?: number;
}

/** Which connections faults are for: those that are there, those that come, or all. */
export type FaultScope = "all" | "new" | "existing";

const streamFields = {
  latencyMs: [0, 600_000],
  jitterMs: [0, 600_000],
  bytesPerSecond: [1, 1e9],
  sliceBytes: [1, 65_536],
  cutAfterBytes: [0, Number.MAX_SAFE_INTEGER],
} as const;

/** Throws StartError FAULT_INVALID for what could not bite or is no fault. */
export function checkFaults(faults: Faults): void {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(faults)) {
    if (name === "up" || name === "down") problems.push(...streamProblems(name, value as StreamFaults));
    else if (name === "refuse") {
      if (value !== "reset" && value !== "closed") problems.push('refuse: it must be "reset" or "closed"');
    } else if (name === "slowCloseMs") problems.push(...rangeProblems(name, value, 0, 600_000));
    else problems.push(`${name}: there is no such fault; there are up, down, refuse and slowCloseMs`);
  }
  if (problems.length > 0) throw new StartError("FAULT_INVALID", problems);
}

function streamProblems(direction: Direction, faults: StreamFaults): string[] {
  return Object.entries(faults).flatMap(([name, value]) => {
    if (name === "blackHole")
      return typeof value === "boolean" ? [] : [`${direction}.blackHole: it must be true or false`];
    const range = Object.hasOwn(streamFields, name) ? streamFields[name as keyof typeof streamFields] : undefined;
    if (range) return rangeProblems(`${direction}.${name}`, value, range[0], range[1]);
    return [
      `${direction}.${name}: there is no such fault; there are ${Object.keys(streamFields).join(", ")}, blackHole`,
    ];
  });
}

function rangeProblems(name: string, value: unknown, min: number, max: number): string[] {
  const fits = typeof value === "number" && value >= min && value <= max;
  return fits ? [] : [`${name}: it must be a number from ${min} to ${max}, not ${String(value)}`];
}
