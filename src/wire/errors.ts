import { PlinthError, StartError } from "../base/index.ts";

/** WIRE_MALFORMED: bytes that no codec of ours wrote, or a message cut short. The sender is broken or of another age. */
export function malformed(what: string): PlinthError {
  return new PlinthError("invalid_argument", `The message cannot be read: ${what}.`, {
    reason: "WIRE_MALFORMED",
    executed: "no",
  });
}

/** WIRE_VALUE_MISMATCH: a value that does not have the shape of its schema. Correct the value or the schema. */
export function mismatch(wanted: string, value: unknown, pointer?: string): PlinthError {
  const got = value === null ? "null" : Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
  const place = pointer === undefined ? "" : ` at "${pointer}"`;
  return new PlinthError("invalid_argument", `The message has ${got}${place} where ${wanted} belongs.`, {
    reason: "WIRE_VALUE_MISMATCH",
    executed: "no",
  });
}

/** WIRE_TOO_DEEP: a value nested deeper than `depthMax`, or a cycle. Flatten it, or send references. */
export function tooDeep(): PlinthError {
  return new PlinthError("invalid_argument", `The message is nested deeper than ${depthMax} levels.`, {
    reason: "WIRE_TOO_DEEP",
    executed: "no",
  });
}

/** FRAME_TOO_LARGE: a message above the frame limit. Page it, stream it, or raise the limit on both sides. */
export function frameTooLarge(limitBytes: number): PlinthError {
  return new PlinthError("resource_exhausted", `The message is larger than the limit of ${limitBytes} bytes.`, {
    reason: "FRAME_TOO_LARGE",
    executed: "no",
    details: { limitBytes },
  });
}

/** CODEC_SCHEMA_UNUSABLE: a schema that cannot be compiled. */
export function unusableSchema(problem: string): StartError {
  return new StartError("CODEC_SCHEMA_UNUSABLE", problem);
}

/** How deep a value may nest on the wire, both ways. */
export const depthMax = 64;
