import type { PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import { constraintOf, isConflict } from "../database/index.ts";

/**
 * What can go wrong between a key and its shard. All of it happens before any work, so a repeat is harmless.
 *
 * | reason | code | what to do |
 * |---|---|---|
 * | SHARD_MOVING | unavailable | the bucket is on its way for longer than writers wait: try again |
 * | SHARD_MOVED | aborted | the bucket moved while a session of its own was open: open it again |
 * | SHARD_KEY_INVALID | invalid_argument | a key is text of 1,024 characters at most, without NUL and lone surrogates |
 * | SHARD_KEY_MISMATCH | internal | a statement wrote a row of another key than its database was opened for |
 * | SHARD_WRITE_REFUSED | aborted | a write beside the router met a bucket that is not here, or is about to leave |
 * | SHARD_NOT_PREPARED | internal | the shard or its map was never migrated: `migrateShards` |
 */
export function moving(bucket: number, waitedMs: number): PlinthError {
  return error("unavailable", "The data is being moved to another place.", {
    reason: "SHARD_MOVING",
    executed: "no",
    retry: 500,
    detail: { message: `bucket ${bucket}: no shard has it open after ${Math.round(waitedMs)} ms` },
  });
}

export function movedAway(bucket: number): PlinthError {
  return error("aborted", "The data moved to another place meanwhile.", {
    reason: "SHARD_MOVED",
    executed: "no",
    retry: "safe",
    detail: { message: `bucket ${bucket} left its shard while a session was open` },
  });
}

/** A read-only transaction whose bucket left while it ran: the database room runs it again from the start. */
export function readConflict(bucket: number): PlinthError {
  return error("aborted", "Somebody changed the same data at the same time.", {
    reason: "SERIALIZATION_FAILURE",
    executed: "no",
    detail: { message: `bucket ${bucket} left its shard during a read-only transaction` },
  });
}

export function keyInvalid(what: string): PlinthError {
  return error("invalid_argument", `A shard key ${what}.`, { reason: "SHARD_KEY_INVALID", executed: "no" });
}

export function notPrepared(what: string): PlinthError {
  return error("internal", "Something went wrong on our side.", {
    reason: "SHARD_NOT_PREPARED",
    executed: "no",
    detail: { message: `${what}: run migrateShards first` },
  });
}

/** The guard's refusals come as exceptions of PL/pgSQL, told apart by the constraint they name. */
export const keyConstraint = "plinth_shard_key";
export const fenceConstraint = "plinth_shard_fence";

export function explain(thrown: unknown): unknown {
  const constraint = isConflict(thrown) ? undefined : constraintOf(thrown);
  if (constraint === keyConstraint) {
    return error("internal", "A row of another key was written.", {
      reason: "SHARD_KEY_MISMATCH",
      executed: "no",
      cause: thrown,
    });
  }
  if (constraint === fenceConstraint) {
    return error("aborted", "The data is in another place.", {
      reason: "SHARD_WRITE_REFUSED",
      executed: "no",
      cause: thrown,
    });
  }
  return thrown;
}
