/** PostgreSQL's table locks, from weakest to strongest (documentation, 13.3.1); the parser counts them from 1. */
export const lockModes = [
  "ACCESS SHARE",
  "ROW SHARE",
  "ROW EXCLUSIVE",
  "SHARE UPDATE EXCLUSIVE",
  "SHARE",
  "SHARE ROW EXCLUSIVE",
  "EXCLUSIVE",
  "ACCESS EXCLUSIVE",
] as const;

export type LockMode = (typeof lockModes)[number];

/** What others cannot do to the table meanwhile. */
export function blockedBy(lock: LockMode): "nothing" | "other changes of it" | "writes" | "reads and writes" {
  if (lock === "ACCESS EXCLUSIVE") return "reads and writes";
  if (lockModes.indexOf(lock) >= lockModes.indexOf("SHARE")) return "writes";
  return lock === "SHARE UPDATE EXCLUSIVE" ? "other changes of it" : "nothing";
}

export function strongest(one: LockMode | undefined, other: LockMode): LockMode {
  return one && lockModes.indexOf(one) > lockModes.indexOf(other) ? one : other;
}
