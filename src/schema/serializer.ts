import { toBranching } from "./branching.ts";
import { toBase64, toBytes } from "./bytes.ts";
import type { CopierWriter, PartCheck } from "./copier.ts";
import { tooDeep } from "./errors.ts";
import { copyPlain, copyScalar, depthMax } from "./plain.ts";
import { type Program, read } from "./program.ts";
import {
  type Branch,
  dereference,
  type ObjectShape,
  type Property,
  type ScalarShape,
  type Shape,
  type Shapes,
  type UnionShape,
} from "./shape.ts";

/**
 * Writes the serializer of a schema. Its text is that of `JSON.stringify(copy(value))` with bytes as base64, for every
 * value, also one that breaks the schema: what is not as declared takes the slow way through the copy. (Only the order
 * of members can differ: ours is the declared one, while JavaScript moves names like "12" to the front.)
 *
 * fast-json-stringify was tried, and is as quick. But it turns null into "" or 0 where the schema has a string or a
 * number, and throws on a missing field: right only for values that somebody has checked, and responses are not checked
 * in production.
 *
 * Each written function wants a value that is not undefined.
 */
export class SerializerWriter {
  readonly #program: Program;
  readonly #shapes: Shapes;
  readonly #check: PartCheck;
  readonly #copier: CopierWriter;
  readonly #names = new Map<Shape, string>();
  readonly #named: ReadonlySet<Shape>;

  constructor(program: Program, shapes: Shapes, check: PartCheck, copier: CopierWriter) {
    this.#program = program;
    this.#shapes = shapes;
    this.#check = check;
    this.#copier = copier;
    this.#named = new Set(shapes.named.values());
  }

  nameOf(shape: Shape): string {
    const inner = dereference(shape, this.#shapes);
    if (inner.kind === "any") return this.#program.constant(anyText);
    if (inner.kind === "scalar") return this.#program.constant(scalarWriter(inner));
    if (inner.kind === "bytes") return this.#program.constant(bytesText);
    let name = this.#names.get(inner);
    if (name === undefined) {
      name = `text${this.#names.size}`;
      this.#names.set(inner, name);
      this.#program.define(name, this.#guard(inner) + this.#bodyOf(inner));
    }
    return name;
  }

  #textOf(shape: Shape, expression: string): string {
    return `${this.nameOf(shape)}(${expression}, ${shape.kind === "ref" ? "d + 1" : "d"})`;
  }

  #guard(shape: Shape): string {
    return this.#named.has(shape) ? `if (d >= ${depthMax}) throw ${this.#program.constant(tooDeep)}();\n` : "";
  }

  #bodyOf(shape: Exclude<Shape, { kind: "any" | "scalar" | "bytes" | "ref" }>): string {
    if (shape.kind === "object" && shape.patterns.length === 0) return this.#objectBody(shape);
    if (shape.kind === "array" && shape.prefix.length === 0 && shape.rest !== undefined)
      return this.#arrayBody(shape.rest);
    if (shape.kind === "union") return this.#unionBody(shape);
    return this.#slowly(shape);
  }

  /** Through the copy. */
  #slowly(shape: Shape): string {
    return `return ${this.#program.constant(copyText)}(${this.#copier.nameOf(shape)}(v, d));`;
  }

  #objectBody(shape: ObjectShape): string {
    const lines = [`if (typeof v !== "object" || v === null) return ${this.#program.constant(scalarText)}(v);`];
    shape.properties.forEach((property, i) => {
      lines.push(`const x${i} = ${read(this.#program, property.name)};`);
      if (property.required) lines.push(`if (x${i} === undefined) { ${this.#slowly(shape)} }`);
    });
    const sure = shape.properties.findIndex(({ required }) => required);
    lines.push(`let r = "{";`);
    if (sure !== 0) lines.push(`let c = "";`);
    shape.properties.forEach((property, i) => {
      lines.push(this.#propertyText(property, i, sure !== -1 && i > sure));
    });
    if (shape.rest !== undefined) lines.push(this.#membersLoop(shape, shape.rest, sure !== -1));
    return [...lines, 'return r + "}";'].join("\n");
  }

  #propertyText(property: Property, i: number, follows: boolean): string {
    const key = `${JSON.stringify(property.name)}:`;
    const text = this.#textOf(property.shape, `x${i}`);
    if (follows) {
      const line = `r += ${JSON.stringify(`,${key}`)} + ${text};`;
      return property.required ? line : `if (x${i} !== undefined) ${line}`;
    }
    if (property.required) return `r += ${i === 0 ? "" : "c + "}${JSON.stringify(key)} + ${text};`;
    return `if (x${i} !== undefined) { r += c + ${JSON.stringify(key)} + ${text}; c = ","; }`;
  }

  #membersLoop(shape: ObjectShape, rest: Shape, follows: boolean): string {
    const known = this.#program.constant(new Set([...shape.properties.map(({ name }) => name), "__proto__"]));
    const comma = follows ? '","' : "c";
    const lines = ["for (const m of Object.keys(v)) {", `if (${known}.has(m)) continue;`];
    lines.push("const x = v[m]; if (x === undefined) continue;");
    lines.push(`r += ${comma} + ${this.#program.constant(quote)}(m) + ":" + ${this.#textOf(rest, "x")};`);
    if (!follows) lines.push(`c = ",";`);
    return [...lines, "}"].join("\n");
  }

  #arrayBody(items: Shape): string {
    return [
      `if (!Array.isArray(v)) return ${this.#program.constant(scalarText)}(v);`,
      `let r = "[";`,
      "for (let i = 0; i < v.length; i++) {",
      `const x = v[i]; if (i > 0) r += ",";`,
      `r += x === undefined ? "null" : ${this.#textOf(items, "x")};`,
      "}",
      `return r + "]";`,
    ].join("\n");
  }

  #unionBody(shape: UnionShape): string {
    const { bytes, arrays, objects, tag } = toBranching(shape, this.#shapes);
    if (bytes !== undefined || arrays.length > 1) return this.#slowly(shape);
    const otherwise = `return ${this.#program.constant(scalarText)}(v);`;
    const lines = [`if (typeof v !== "object" || v === null) ${otherwise}`];
    const [array] = arrays;
    lines.push(
      `if (Array.isArray(v)) ${array === undefined ? otherwise : `return ${this.#textOf(array.shape, "v")};`}`,
    );
    if (tag !== undefined) {
      lines.push(`switch (${read(this.#program, tag.name)}) {`);
      for (const { values, branch } of tag.cases) {
        for (const value of values) lines.push(`case ${JSON.stringify(value)}:`);
        lines.push(`return ${this.#textOf(branch.shape, "v")};`);
      }
      lines.push("}");
    }
    const [first] = objects;
    if (tag === undefined && objects.length > 1) lines.push(this.#onlyOf(objects, shape));
    else lines.push(first === undefined ? otherwise : `return ${this.#textOf(first.shape, "v")};`);
    return lines.join("\n");
  }

  /** When just one branch fits, its own text; the copy sorts out the rest. */
  #onlyOf(branches: readonly Branch[], shape: UnionShape): string {
    const lines = ["let b = -1;"];
    branches.forEach((branch, i) => {
      lines.push(
        `if (${this.#program.constant(this.#check(branch.pointer))}(v)) { if (b !== -1) { ${this.#slowly(shape)} } b = ${i}; }`,
      );
    });
    lines.push("switch (b) {");
    branches.forEach((branch, i) => {
      if (i > 0) lines.push(`case ${i}: return ${this.#textOf(branch.shape, "v")};`);
    });
    return [...lines, `default: return ${this.#textOf((branches[0] as Branch).shape, "v")};`, "}"].join("\n");
  }
}

/** Everything below wants a value that is not undefined, and gives JSON text. A bigint is a TypeError, as it is there. */
function scalarWriter(shape: ScalarShape): (value: unknown) => string {
  const types = [...shape.types, ...shape.values.map((value) => typeof value)];
  const only = (allowed: readonly string[]): boolean => types.every((type) => allowed.includes(type));
  if (only(["string"])) return stringText;
  if (only(["number", "integer"])) return numberText;
  return scalarText;
}

function stringText(value: unknown): string {
  return typeof value === "string" ? quote(value) : scalarText(value);
}

function numberText(value: unknown): string {
  return typeof value === "number" && Number.isFinite(value) ? `${value}` : scalarText(value);
}

function scalarText(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (value === true) return "true";
  if (value === false) return "false";
  if (value === null) return "null";
  return JSON.stringify(copyScalar(value)) ?? "null";
}

function anyText(value: unknown): string {
  return JSON.stringify(copyPlain(value, 0, true)) ?? "null";
}

function bytesText(value: unknown): string {
  if (value instanceof Uint8Array) return `"${toBase64(value)}"`;
  return typeof value === "string" ? `"${toBase64(toBytes(value))}"` : scalarText(value);
}

/** The text of a copy, which is fresh: its bytes are the only thing that JSON has no form for. */
export function copyText(copy: unknown): string {
  return JSON.stringify(copy, (_key, value) => (value instanceof Uint8Array ? toBase64(value) : value)) ?? "null";
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that JSON escapes.
const escaped = /[\u0000-\u001f"\\\ud800-\udfff]/;
const loopMax = 42;
const testMax = 5000;

/**
 * JSON text of a string. Most strings need no escape, and looking is quicker than `JSON.stringify`: by a loop when they
 * are short, by an expression up to some thousand characters.
 */
function quote(text: string): string {
  const { length } = text;
  if (length >= loopMax) return length < testMax && !escaped.test(text) ? `"${text}"` : JSON.stringify(text);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x22 || code === 0x5c || (code >= 0xd800 && code <= 0xdfff))
      return JSON.stringify(text);
  }
  return `"${text}"`;
}
