import { depthMax, malformed, mismatch, tooDeep } from "./errors.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/**
 * Any JSON value, and bytes, in a form that says what it is: one tag byte, then the value. For members of unknown type,
 * and for peers whose schema is of another age.
 *
 * As in JSON, `toJSON` is honoured, members that are undefined or functions are left out, and such items of an array are
 * null. Unlike JSON, NaN, the infinities, -0, undefined at the top, and `Uint8Array` come through. A member named
 * "__proto__" is never carried. Limits: 64 levels.
 */
export const valueTag = {
  null: 0,
  undefined: 1,
  false: 2,
  true: 3,
  number: 4,
  string: 5,
  bytes: 6,
  array: 7,
  object: 8,
} as const;

export function writeValue(writer: Writer, value: unknown): void {
  switch (typeof value) {
    case "string":
      writer.byte(valueTag.string);
      writer.string(value);
      break;
    case "number":
      writer.byte(valueTag.number);
      writer.number(value);
      break;
    case "boolean":
      writer.byte(value ? valueTag.true : valueTag.false);
      break;
    case "undefined":
      writer.byte(valueTag.undefined);
      break;
    case "object":
      if (value === null) writer.byte(valueTag.null);
      else writeObject(writer, value);
      break;
    default:
      throw mismatch("a JSON value", value);
  }
}

function writeObject(writer: Writer, value: object): void {
  if (++writer.depth > depthMax) throw tooDeep();
  if (value instanceof Uint8Array) {
    writer.byte(valueTag.bytes);
    writer.raw(value);
  } else if (Array.isArray(value)) {
    writer.byte(valueTag.array);
    writer.uvarint(value.length);
    for (const item of value) writeValue(writer, isCarried(item) ? item : null);
  } else if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
    writeValue(writer, (value as { toJSON: () => unknown }).toJSON());
  } else {
    writer.byte(valueTag.object);
    writeMembers(writer, value as Readonly<Record<string, unknown>>, noNames, writeValue);
  }
  writer.depth--;
}

const noNames: ReadonlySet<string> = new Set();

/** Names and values until a header of 0, which no name has. Leaves out `except`. */
export function writeMembers(
  writer: Writer,
  value: Readonly<Record<string, unknown>>,
  except: ReadonlySet<string>,
  writeItem: (writer: Writer, item: unknown) => void,
): void {
  for (const name of Object.keys(value)) {
    if (name === "__proto__" || except.has(name)) continue;
    const item = value[name];
    if (!isCarried(item)) continue;
    writer.string(name);
    writeItem(writer, item);
  }
  writer.byte(0);
}

function isCarried(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

export function readValue(reader: Reader): unknown {
  const tag = reader.byte();
  switch (tag) {
    case valueTag.null:
      return null;
    case valueTag.undefined:
      return undefined;
    case valueTag.false:
      return false;
    case valueTag.true:
      return true;
    case valueTag.number:
      return reader.number();
    case valueTag.string:
      return reader.string();
    case valueTag.bytes:
      return reader.raw();
    case valueTag.array:
      return readArray(reader);
    case valueTag.object: {
      const members: Record<string, unknown> = {};
      if (++reader.depth > depthMax) throw tooDeep();
      readMembers(reader, members, readValue);
      reader.depth--;
      return members;
    }
    default:
      throw malformed("a value is of unknown kind");
  }
}

function readArray(reader: Reader): unknown[] {
  if (++reader.depth > depthMax) throw tooDeep();
  const items: unknown[] = [];
  for (let left = reader.count(); left > 0; left--) items.push(readValue(reader));
  reader.depth--;
  return items;
}

export function readMembers(
  reader: Reader,
  into: Record<string, unknown>,
  readItem: (reader: Reader) => unknown,
): void {
  for (let header = reader.uvarint(); header !== 0; header = reader.uvarint()) {
    const name = reader.stringAfter(header);
    const item = readItem(reader);
    if (name !== "__proto__") into[name] = item;
  }
}
