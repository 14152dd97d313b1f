import type { JsonSchema } from "../base/index.ts";
import { PlinthError } from "../base/index.ts";
import { decoderSource, encoderSource } from "./code.ts";
import { depthMax, malformed, mismatch, tooDeep } from "./errors.ts";
import { locate } from "./locate.ts";
import { prune } from "./prune.ts";
import type { Reader } from "./reader.ts";
import type { Shape } from "./shape.ts";
import { fingerprintOf, shapeOf } from "./shape.ts";
import { readMembers, readValue, writeMembers, writeValue } from "./value.ts";
import type { Writer } from "./writer.ts";

/**
 * A binary codec compiled from a JSON Schema: values by position, without names or types, for two sides that know the
 * same schema. Sides find out by comparing fingerprints; where they differ they use the loose form, which says what it is.
 *
 * Promises: what `encode` wrote, `decode` reads back equal, save for members that the schema does not declare: those are
 * never sent, in either form. Any other bytes give a value or an error with reason WIRE_MALFORMED or WIRE_TOO_DEEP, never
 * a crash, an endless loop, a read beyond the end, or memory out of proportion to the bytes. No check of limits,
 * patterns or formats: that is the validator's work. Values decoded share no memory with the bytes.
 *
 * Forms: an object is a bitmap of the optional members that are there, the required ones in the order of the schema, the
 * optional ones. Integers take one to eight bytes, other numbers nine. An `enum` of strings is its place in the list. A
 * choice between kinds of value is a byte for the kind. `x-plinth: "bytes"` is raw. What the schema leaves open is
 * self-describing (value.ts). Text is UTF-8: a lone surrogate becomes U+FFFD.
 *
 * Errors of `encode`: WIRE_VALUE_MISMATCH (with a JSON Pointer), WIRE_TOO_DEEP above 64 levels, FRAME_TOO_LARGE from the
 * writer. After an error the caller rewinds the writer.
 */
export interface Codec {
  /** Equal on both sides: `encode` here and `decode` there fit. */
  readonly fingerprint: string;
  encode(value: unknown, writer: Writer): void;
  decode(reader: Reader): unknown;
  /** Declared members only, in the self-describing form. Values that do not fit the schema are sent as they are. */
  encodeLoose(value: unknown, writer: Writer): void;
  /** Reads the self-describing form, keeping declared members only. */
  decodeLoose(reader: Reader): unknown;
}

type Encode = (value: unknown, writer: Writer) => void;
type Decode = (reader: Reader) => unknown;

const byFingerprint = new Map<string, Codec>();
const remembered = new WeakMap<object, Codec>();

/** Memoised. Throws StartError CODEC_SCHEMA_UNUSABLE for a schema with a broken reference, or above 10,000 parts. */
export function compileCodec(schema: JsonSchema): Codec {
  const known = remembered.get(schema);
  if (known) return known;
  const shape = shapeOf(schema);
  const fingerprint = fingerprintOf(shape);
  const codec = byFingerprint.get(fingerprint) ?? createCodec(shape, fingerprint);
  byFingerprint.set(fingerprint, codec);
  remembered.set(schema, codec);
  return codec;
}

function createCodec(shape: Shape, fingerprint: string): Codec {
  const encode = build<Encode>(encoderSource(shape));
  const decode = build<Decode>(decoderSource(shape));
  return {
    fingerprint,
    encode(value, writer) {
      writer.depth = 0;
      try {
        encode(value, writer);
      } catch (thrown) {
        throw thrown instanceof PlinthError && thrown.reason === "WIRE_VALUE_MISMATCH"
          ? (locate(shape, value) ?? thrown)
          : thrown;
      }
    },
    decode(reader) {
      reader.depth = 0;
      return decode(reader);
    },
    encodeLoose(value, writer) {
      writer.depth = 0;
      writeValue(writer, prune(shape, value));
    },
    decodeLoose(reader) {
      reader.depth = 0;
      return prune(shape, readValue(reader));
    },
  };
}

/** What generated code may use, by these names. */
const tools = {
  depthMax,
  malformed,
  mismatch,
  readMembers,
  readValue,
  tooDeep,
  writeMembers,
  writeValue,
  hasOwn: Object.hasOwn,
  isArray: Array.isArray,
  kindOf,
};

/** Everything of the schema that is in `source` is a number or a string literal from `JSON.stringify`. */
function build<Built>(source: string): Built {
  return new Function(...Object.keys(tools), source)(...Object.values(tools)) as Built;
}

/** The place of a value's kind among `unionKinds`; -1 for none. */
function kindOf(value: unknown): number {
  switch (typeof value) {
    case "boolean":
      return 1;
    case "number":
      return 2;
    case "string":
      return 3;
    case "object":
      if (value === null) return 0;
      if (Array.isArray(value)) return 5;
      return value instanceof Uint8Array ? 4 : 6;
    default:
      return -1;
  }
}
