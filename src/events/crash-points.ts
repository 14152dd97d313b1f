import { StartError } from "../base/index.ts";

/**
 * Named places where an event is between two homes. Tests and `verify` end the process exactly there, and see whether
 * anything is lost or happens twice.
 */
export const crashPoints = [
  /** The publisher's transaction is committed; no relay has seen the event. */
  "outbox.committed",
  /** The broker has the messages; the relay has not yet marked them as published. */
  "relay.published",
  /** The broker has counted the attempt; the handler has not run. */
  "delivery.claimed",
  /** The effect and its inbox row are written, not committed. */
  "inbox.written",
  /** The effect is committed; the delivery is not acknowledged. */
  "inbox.committed",
  /** The broker knows that the delivery is over. */
  "delivery.acked",
  /** The message is a dead letter; the delivery is not acknowledged. */
  "dead-letter.committed",
  /** The attempt of a tick is counted; its handler has not run. */
  "tick.claimed",
  /** The effect of a tick and its row are written, not committed. */
  "tick.written",
  /** The effect of a tick is committed. */
  "tick.committed",
  /** An idempotency key and its effect are written, not committed. */
  "idempotency.written",
  /** They are committed; nobody has the answer. */
  "idempotency.committed",
] as const;

export type CrashPointName = (typeof crashPoints)[number];

/** Called at each passage. The default does nothing. */
export type CrashPoint = (name: CrashPointName) => void;

export const noCrashPoint: CrashPoint = () => {};

/**
 * Reads `PLINTH_CRASH_POINT`: `"inbox.committed"` kills this process with SIGKILL at the first passage of that point,
 * `"inbox.committed:3"` at the third. Unset or empty does nothing. For tests: whoever sets it wants the crash.
 */
export function crashPointsFromEnvironment(env: Readonly<Record<string, string | undefined>>): CrashPoint {
  const setting = env.PLINTH_CRASH_POINT;
  if (!setting) return noCrashPoint;
  const [name, text = "1"] = setting.split(":");
  const passage = Number(text);
  if (!crashPoints.some((known) => known === name) || !Number.isInteger(passage) || passage < 1) {
    throw new StartError(
      "CRASH_POINT_UNKNOWN",
      `PLINTH_CRASH_POINT: "${setting}" is no crash point. Write one of ${crashPoints.join(", ")}, with ":n" for the n-th passage, or unset it.`,
    );
  }
  let passed = 0;
  return (at) => {
    if (at === name && ++passed === passage) process.kill(process.pid, "SIGKILL");
  };
}
