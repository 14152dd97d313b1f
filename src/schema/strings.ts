import type { JsonSchema } from "../base/index.ts";
import { toShapes } from "./reading.ts";
import { dereference, type Scalar, type ScalarType, type Shape, type Shapes } from "./shape.ts";

/** Text by name, as paths, query strings and forms give it. A name given more than once has a list. */
export type Flat = Readonly<Record<string, string | readonly string[]>>;

/**
 * Compiles the reader of path and query text: each text becomes what the schema has at that name, so that the validator
 * sees numbers where numbers are meant. It never throws and never guesses: what has no exact reading stays text, for the
 * validator to refuse in its own words.
 *
 * - integer and number: the JSON number forms ("12", "-0.5", "1e3"), as long as the value is finite and, for an integer,
 *   exact (at most 2^53 - 1). Not "", "+1", "007", "0x10", "1_000".
 * - boolean: "true", "1" are true; "false", "0" are false. Not "yes", not "".
 * - null: "null", where text is not allowed as well.
 * - const and enum: the allowed value that is written so.
 * - array: a repeated name, or one text as a list of one (unless the schema also allows it as it is). Commas are text.
 * - where several readings are possible: the listed values first, then text if text is allowed, number, boolean, null.
 *
 * Names that the schema does not know stay as they are. Objects inside a query have no reading.
 */
export function compileStrings(schema: JsonSchema): TextReader {
  const reader = compiled.get(schema) ?? compileReader(schema);
  compiled.set(schema, reader);
  return reader;
}

type TextReader = (flat: Flat) => Record<string, unknown>;

/** Once for each schema, however many routes have it. */
const compiled = new WeakMap<JsonSchema, TextReader>();

function compileReader(schema: JsonSchema): TextReader {
  const shapes = toShapes(schema);
  const readings = new Map<string, Reading>();
  collect(shapes.root, shapes, readings, new Set());

  return (flat) => {
    const result: Record<string, unknown> = {};
    for (const name of Object.keys(flat)) {
      const given = flat[name] as string | readonly string[];
      const reading = readings.get(name);
      const value = reading === undefined ? given : readField(reading, given);
      if (name === "__proto__") Object.defineProperty(result, name, { value, enumerable: true });
      else result[name] = value;
    }
    return result;
  };
}

/** All the ways in which the text of one field can be read. */
interface Reading {
  /** Written form of the values that the schema lists. */
  readonly values: Map<string, Scalar>;
  readonly types: Set<ScalarType>;
  /** Takes one value as it is, whatever it looks like: bytes, or no schema at all. */
  verbatim: boolean;
  /** How to read each item, when a list is allowed. */
  items: Reading | undefined;
}

function emptyReading(): Reading {
  return { values: new Map(), types: new Set(), verbatim: false, items: undefined };
}

/** The fields that any part of the schema gives to the message. */
function collect(shape: Shape, shapes: Shapes, readings: Map<string, Reading>, seen: Set<Shape>): void {
  const inner = dereference(shape, shapes);
  if (seen.has(inner)) return;
  seen.add(inner);
  if (inner.kind === "union") for (const branch of inner.branches) collect(branch.shape, shapes, readings, seen);
  if (inner.kind === "all") for (const part of inner.parts) collect(part, shapes, readings, seen);
  if (inner.kind !== "object") return;
  for (const property of inner.properties) {
    const reading = readings.get(property.name) ?? emptyReading();
    readings.set(property.name, reading);
    admit(property.shape, shapes, reading, new Set());
  }
}

/** Adds what a shape admits to a reading. */
function admit(shape: Shape, shapes: Shapes, reading: Reading, seen: Set<Shape>): void {
  const inner = dereference(shape, shapes);
  if (seen.has(inner)) return;
  seen.add(inner);
  switch (inner.kind) {
    case "any":
    case "bytes":
      reading.verbatim = true;
      return;
    case "scalar":
      for (const type of inner.types) reading.types.add(type);
      for (const value of inner.values) reading.values.set(String(value), value);
      return;
    case "array":
      reading.items ??= emptyReading();
      for (const item of [...inner.prefix, ...(inner.rest === undefined ? [] : [inner.rest])]) {
        admit(item, shapes, reading.items, seen);
      }
      return;
    case "union":
      for (const branch of inner.branches) admit(branch.shape, shapes, reading, seen);
      return;
    case "all":
      for (const part of inner.parts) admit(part, shapes, reading, seen);
      return;
    case "object":
      return;
  }
}

function readField(reading: Reading, given: string | readonly string[]): unknown {
  const { items } = reading;
  if (typeof given !== "string") return items === undefined ? given : given.map((text) => readItem(items, text));
  const value = readText(reading, given);
  if (value !== undefined) return value;
  return items === undefined ? given : [readItem(items, given)];
}

function readItem(items: Reading, text: string): Scalar {
  const value = readText(items, text);
  return value === undefined ? text : value;
}

/** undefined: the text has no reading. null is one. */
function readText(reading: Reading, text: string): Scalar | undefined {
  const { values, types } = reading;
  const listed = values.get(text);
  if (listed !== undefined) return listed;
  if (types.has("string") || reading.verbatim) return text;
  if (types.has("number") || types.has("integer")) {
    const number = readNumber(text, types.has("number"));
    if (number !== undefined) return number;
  }
  if (types.has("boolean")) {
    if (text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
  }
  if (types.has("null") && text === "null") return null;
  return undefined;
}

const numberText = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function readNumber(text: string, fractions: boolean): number | undefined {
  if (text.length > 64 || !numberText.test(text)) return undefined;
  const number = Number(text);
  return (fractions ? Number.isFinite(number) : Number.isSafeInteger(number)) ? number : undefined;
}
