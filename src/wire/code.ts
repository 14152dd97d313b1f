import type { Node, Shape } from "./shape.ts";
import { isInherited } from "./shape.ts";

/**
 * The source of a codec's two functions. Each node that is more than a leaf becomes a function `eN` or `dN`; the tools
 * that they use are arguments (codec.ts). Nothing of the schema enters the source except through `JSON.stringify`.
 */
export function encoderSource(shape: Shape): string {
  return assemble(shape, "e", encodeFunction);
}

export function decoderSource(shape: Shape): string {
  return assemble(shape, "d", decodeFunction);
}

function assemble(shape: Shape, letter: string, write: (shape: Shape, index: number) => string): string {
  const functions = shape.nodes.map((_, index) => write(shape, index));
  return `"use strict";\n${functions.join("\n")}\nreturn ${letter}${shape.root};`;
}

/** Methods of Writer and Reader that do the leaves. */
const leafMethods: Readonly<Record<string, string>> = {
  null: "null",
  boolean: "boolean",
  number: "number",
  string: "string",
  bytes: "raw",
};

const enter = "if (++w.depth > depthMax) throw tooDeep();";

/** A statement that writes `value`. */
function encodeCall(shape: Shape, index: number, value: string): string {
  const node = shape.nodes[index] as Node;
  if (node.kind === "any") return `writeValue(w, ${value});`;
  const leaf = leafMethods[node.kind];
  return leaf ? `w.${leaf}(${value});` : `e${index}(${value}, w);`;
}

function encodeFunction(shape: Shape, index: number): string {
  const node = shape.nodes[index] as Node;
  return `function e${index}(v, w) {\n${encodeBody(shape, index, node)}\n}`;
}

function encodeBody(shape: Shape, index: number, node: Node): string {
  switch (node.kind) {
    case "enum":
      return encodeEnum(node.values);
    case "array":
      return `if (!isArray(v)) throw mismatch("an array", v);
${enter}
w.uvarint(v.length);
for (let i = 0; i < v.length; i++) { ${encodeCall(shape, node.items, "v[i]")} }
w.depth--;`;
    case "object":
      return encodeObject(shape, node);
    case "union": {
      const cases = node.branches.map((branch, kind) =>
        branch === undefined ? "" : `case ${kind}: w.byte(${kind}); ${encodeCall(shape, branch, "v")} return;\n`,
      );
      return `switch (kindOf(v)) {\n${cases.join("")}default: throw mismatch("one of the declared kinds", v);\n}`;
    }
    default:
      return encodeCall(shape, index, "v");
  }
}

/** The place in the list; a string that is not in it follows the number after the last. */
function encodeEnum(values: readonly string[]): string {
  const cases = values.map((value, place) => `case ${JSON.stringify(value)}: w.uvarint(${place}); return;\n`);
  return `switch (v) {\n${cases.join("")}}
if (typeof v !== "string") throw mismatch("a string", v);
w.uvarint(${values.length});
w.string(v);`;
}

function encodeObject(shape: Shape, node: Node & { kind: "object" }): string {
  const required = node.fields.filter((field) => field.isRequired);
  const optional = node.fields.filter((field) => !field.isRequired);
  const lines = ['if (typeof v !== "object" || v === null) throw mismatch("an object", v);', enter];
  optional.forEach((field, i) => {
    lines.push(`const o${i} = ${member(field.name)};`);
  });
  for (let from = 0; from < optional.length; from += 8) {
    const bits = optional.slice(from, from + 8).map((_, i) => `(o${from + i} === undefined ? 0 : ${1 << i})`);
    lines.push(`w.byte(${bits.join(" | ")});`);
  }
  // Each value takes a byte at least, so that a count can be held against the bytes that are left.
  if (node.fields.length === 0 && node.rest === undefined) lines.push("w.byte(0);");
  for (const field of required) lines.push(encodeCall(shape, field.node, member(field.name)));
  optional.forEach((field, i) => {
    lines.push(`if (o${i} !== undefined) { ${encodeCall(shape, field.node, `o${i}`)} }`);
  });
  if (node.rest !== undefined) {
    const names = `new Set(${JSON.stringify(node.fields.map((field) => field.name))})`;
    lines.push(`writeMembers(w, v, ${names}, (w, v) => { ${encodeCall(shape, node.rest, "v")} });`);
  }
  return [...lines, "w.depth--;"].join("\n");
}

/** An expression for a member of `v`; see `memberOf`. */
function member(name: string): string {
  const text = JSON.stringify(name);
  return isInherited(name) ? `(hasOwn(v, ${text}) ? v[${text}] : undefined)` : `v[${text}]`;
}

/** An expression that reads a value. */
function decodeCall(shape: Shape, index: number): string {
  const node = shape.nodes[index] as Node;
  if (node.kind === "any") return "readValue(r)";
  const leaf = leafMethods[node.kind];
  return leaf ? `r.${leaf}()` : `d${index}(r)`;
}

function decodeFunction(shape: Shape, index: number): string {
  const node = shape.nodes[index] as Node;
  return `function d${index}(r) {\n${decodeBody(shape, index, node)}\n}`;
}

const enterRead = "if (++r.depth > depthMax) throw tooDeep();";

function decodeBody(shape: Shape, index: number, node: Node): string {
  switch (node.kind) {
    case "enum": {
      const cases = node.values.map((value, place) => `case ${place}: return ${JSON.stringify(value)};\n`);
      return `switch (r.uvarint()) {\n${cases.join("")}case ${node.values.length}: return r.string();
default: throw malformed("a choice is out of range");\n}`;
    }
    case "array":
      return `${enterRead}
const items = [];
for (let left = r.count(); left > 0; left--) items.push(${decodeCall(shape, node.items)});
r.depth--;
return items;`;
    case "object":
      return decodeObject(shape, node);
    case "union": {
      const cases = node.branches.map((branch, kind) =>
        branch === undefined ? "" : `case ${kind}: return ${decodeCall(shape, branch)};\n`,
      );
      return `switch (r.byte()) {\n${cases.join("")}default: throw malformed("a choice is out of range");\n}`;
    }
    default:
      return `return ${decodeCall(shape, index)};`;
  }
}

function decodeObject(shape: Shape, node: Node & { kind: "object" }): string {
  const required = node.fields.filter((field) => field.isRequired);
  const optional = node.fields.filter((field) => !field.isRequired);
  const lines = [enterRead];
  for (let from = 0; from < optional.length; from += 8) {
    const unused = 0xff & ~((1 << Math.min(8, optional.length - from)) - 1);
    lines.push(`const b${from / 8} = r.byte();`);
    if (unused) lines.push(`if (b${from / 8} & ${unused}) throw malformed("an unknown member is present");`);
  }
  if (node.fields.length === 0 && node.rest === undefined) lines.push("r.null();");
  const members = required.map((field) => `${JSON.stringify(field.name)}: ${decodeCall(shape, field.node)}`);
  lines.push(`const v = { ${members.join(", ")} };`);
  optional.forEach((field, i) => {
    const test = `b${Math.floor(i / 8)} & ${1 << (i % 8)}`;
    lines.push(`if (${test}) v[${JSON.stringify(field.name)}] = ${decodeCall(shape, field.node)};`);
  });
  if (node.rest !== undefined) lines.push(`readMembers(r, v, (r) => ${decodeCall(shape, node.rest)});`);
  return [...lines, "r.depth--;", "return v;"].join("\n");
}
