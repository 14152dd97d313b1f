import { toBranching } from "./branching.ts";
import { toBytes } from "./bytes.ts";
import { tooDeep } from "./errors.ts";
import { copyPlain, copyScalar, depthMax } from "./plain.ts";
import { type Program, read } from "./program.ts";
import {
  type AllShape,
  type ArrayShape,
  type Branch,
  dereference,
  type ObjectShape,
  type Property,
  type Shape,
  type Shapes,
  type UnionShape,
} from "./shape.ts";

/** Asks whether a value fits the part of the schema at a pointer. */
export type PartCheck = (pointer: string) => (value: unknown) => boolean;

/**
 * Writes the copier of a schema: functions that build a new value with the declared fields only. They read what they are
 * given as far as it fits and check nothing; objects where none are declared come out as null.
 *
 * With `fill`, absent fields get their default.
 */
export class CopierWriter {
  readonly #program: Program;
  readonly #shapes: Shapes;
  readonly #check: PartCheck;
  readonly #fill: boolean;
  readonly #names = new Map<Shape, string>();
  readonly #named: ReadonlySet<Shape>;
  readonly #scalar: string;

  constructor(program: Program, shapes: Shapes, check: PartCheck, fill: boolean) {
    this.#program = program;
    this.#shapes = shapes;
    this.#check = check;
    this.#fill = fill;
    this.#named = new Set(shapes.named.values());
    this.#scalar = program.constant(scalarOf);
  }

  /** The name of the function that copies a shape. */
  nameOf(shape: Shape): string {
    const inner = dereference(shape, this.#shapes);
    if (inner.kind === "any") return this.#program.constant(anyOf);
    if (inner.kind === "scalar") return this.#scalar;
    if (inner.kind === "bytes") return this.#program.constant(bytesOf);
    let name = this.#names.get(inner);
    if (name === undefined) {
      name = `${this.#fill ? "fill" : "copy"}${this.#names.size}`;
      this.#names.set(inner, name);
      this.#program.define(name, this.#guard(inner) + this.#bodyOf(inner));
    }
    return name;
  }

  /** The text that copies the value of an expression. */
  #copyOf(shape: Shape, expression: string): string {
    return `${this.nameOf(shape)}(${expression}, ${shape.kind === "ref" ? "d + 1" : "d"})`;
  }

  /** Named parts may contain themselves, as deep as the value goes. */
  #guard(shape: Shape): string {
    return this.#named.has(shape) ? `if (d >= ${depthMax}) throw ${this.#program.constant(tooDeep)}();\n` : "";
  }

  #bodyOf(shape: ObjectShape | ArrayShape | UnionShape | AllShape): string {
    if (shape.kind === "object") return this.#objectBody(shape);
    if (shape.kind === "array") return this.#arrayBody(shape);
    if (shape.kind === "union") return this.#unionBody(shape);
    const join = this.#program.constant(overlay);
    return `return ${shape.parts.map((part) => this.#copyOf(part, "v")).reduce((a, b) => `${join}(${a}, ${b})`)};`;
  }

  #objectBody(shape: ObjectShape): string {
    const isSure = (property: Property): boolean => property.required || this.#isFilled(property);
    const cut = shape.properties.findIndex((property) => !isSure(property));
    const sure = cut === -1 ? shape.properties : shape.properties.slice(0, cut);
    const literal = sure.map((property) => `${JSON.stringify(property.name)}: ${this.#valueOf(property)}`);
    const lines = [`if (typeof v !== "object" || v === null) return ${this.#scalar}(v);`];
    lines.push(`const r = { ${literal.join(", ")} };`);
    for (const property of shape.properties.slice(sure.length)) {
      const target = `r[${JSON.stringify(property.name)}]`;
      if (isSure(property)) {
        lines.push(`${target} = ${this.#valueOf(property)};`);
      } else {
        lines.push(`{ const x = ${read(this.#program, property.name)};`);
        lines.push(`if (x !== undefined) ${target} = ${this.#copyOf(property.shape, "x")}; }`);
      }
    }
    if (shape.patterns.length > 0 || shape.rest !== undefined) lines.push(this.#membersLoop(shape));
    return [...lines, "return r;"].join("\n");
  }

  #isFilled(property: Property): boolean {
    return this.#fill && property.fallback !== undefined;
  }

  #valueOf(property: Property): string {
    const value = read(this.#program, property.name);
    if (!this.#isFilled(property)) return this.#copyOf(property.shape, value);
    const fallback = this.#copyOf(property.shape, this.#program.constant(property.fallback));
    return `(${value} === undefined ? ${fallback} : ${this.#copyOf(property.shape, value)})`;
  }

  #membersLoop(shape: ObjectShape): string {
    const known = this.#program.constant(new Set([...shape.properties.map(({ name }) => name), "__proto__"]));
    const lines = ["for (const m of Object.keys(v)) {", `if (${known}.has(m)) continue;`];
    lines.push("const x = v[m]; if (x === undefined) continue;");
    for (const { source, shape: part } of shape.patterns) {
      const pattern = this.#program.constant(new RegExp(source, "u"));
      lines.push(`if (${pattern}.test(m)) { r[m] = ${this.#copyOf(part, "x")}; continue; }`);
    }
    if (shape.rest !== undefined) lines.push(`r[m] = ${this.#copyOf(shape.rest, "x")};`);
    return [...lines, "}"].join("\n");
  }

  #arrayBody(shape: ArrayShape): string {
    const fixed = shape.prefix.length;
    const length = shape.rest === undefined ? `Math.min(v.length, ${fixed})` : "v.length";
    const lines = [
      `if (!Array.isArray(v)) return ${this.#scalar}(v);`,
      `const n = ${length};`,
      "const r = new Array(n);",
    ];
    shape.prefix.forEach((part, i) => {
      lines.push(`if (n > ${i}) r[${i}] = ${this.#copyOf(part, `v[${i}]`)};`);
    });
    if (shape.rest !== undefined) {
      lines.push(`for (let i = ${fixed}; i < n; i++) r[i] = ${this.#copyOf(shape.rest, "v[i]")};`);
    }
    return [...lines, "return r;"].join("\n");
  }

  #unionBody(shape: UnionShape): string {
    const { text, bytes, arrays, objects, tag } = toBranching(shape, this.#shapes);
    const decoded = bytes !== undefined && !text ? `typeof v === "string" ? ${this.#copyOf(bytes.shape, "v")} : ` : "";
    const lines = [`if (typeof v !== "object" || v === null) return ${decoded}${this.#scalar}(v);`];
    lines.push(`if (Array.isArray(v)) { ${this.#firstOf(arrays)} }`);
    if (bytes !== undefined) lines.push(`if (v instanceof Uint8Array) return ${this.#copyOf(bytes.shape, "v")};`);
    if (tag === undefined) {
      lines.push(this.#everyOf(objects));
    } else {
      lines.push(`switch (${read(this.#program, tag.name)}) {`);
      for (const { values, branch } of tag.cases) {
        for (const value of values) lines.push(`case ${JSON.stringify(value)}:`);
        lines.push(`return ${this.#copyOf(branch.shape, "v")};`);
      }
      lines.push("}", this.#firstOf(objects.slice(0, 1)));
    }
    return lines.join("\n");
  }

  /** The first branch that fits; the first of all if none does. */
  #firstOf(branches: readonly Branch[]): string {
    const first = branches[0];
    if (first === undefined) return `return ${this.#scalar}(v);`;
    const tries = branches.length === 1 ? [] : branches;
    const lines = tries.map((b) => `if (${this.#fits(b)}(v)) return ${this.#copyOf(b.shape, "v")};`);
    return [...lines, `return ${this.#copyOf(first.shape, "v")};`].join("\n");
  }

  /** All the branches that fit, one over the other: each may declare members that the others do not. */
  #everyOf(branches: readonly Branch[]): string {
    if (branches.length < 2) return this.#firstOf(branches);
    const join = this.#program.constant(overlay);
    const lines = branches.map((b) => {
      const copy = this.#copyOf(b.shape, "v");
      return `if (${this.#fits(b)}(v)) r = r === undefined ? ${copy} : ${join}(r, ${copy});`;
    });
    return `let r;\n${lines.join("\n")}\nif (r !== undefined) return r;\n${this.#firstOf(branches.slice(0, 1))}`;
  }

  #fits(branch: Branch): string {
    return this.#program.constant(this.#check(branch.pointer));
  }
}

function scalarOf(value: unknown): unknown {
  if (typeof value === "string" || typeof value === "number") return value;
  return copyScalar(value);
}

function anyOf(value: unknown): unknown {
  return copyPlain(value, 0, false);
}

function bytesOf(value: unknown): unknown {
  return value instanceof Uint8Array || typeof value === "string" ? toBytes(value) : copyScalar(value);
}

/** Two readings of one value: the members of both, the first reading's where they agree. */
function overlay(first: unknown, second: unknown): unknown {
  if (Array.isArray(first) && Array.isArray(second)) return first.map((item, i) => overlay(item, second[i]));
  if (!isRecord(first)) return first ?? second;
  if (!isRecord(second)) return first;
  for (const key of Object.keys(second)) {
    first[key] = Object.hasOwn(first, key) ? overlay(first[key], second[key]) : second[key];
  }
  return first;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
