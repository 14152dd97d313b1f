/** Named places of a move, one after each durable step. Tests end the process exactly there, and let another go on. */
export const moveCrashPoints = [
  "move.planned",
  "move.capturing",
  "move.copied-some",
  "move.copied",
  "move.caught-up",
  "move.fencing",
  "move.fenced",
  "move.verified",
  "move.switching",
  "move.source-left",
  "move.target-open",
  "move.switched",
  "move.cleaned",
  "move.aborting",
] as const;

export type MoveCrashPointName = (typeof moveCrashPoints)[number];

/** Called at each passage. The default does nothing. */
export type MoveCrashPoint = (name: MoveCrashPointName) => void;
