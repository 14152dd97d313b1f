import type { ErrorObject, ValidateFunction } from "ajv/dist/2020.js";
import type { JsonSchema } from "../base/index.ts";
import { eachPart, resolvePointer } from "./traversal.ts";
import { oneOf, toViolation, type Violation } from "./violation.ts";

/**
 * Turns the checker's faults into violations that help. A union is where that takes thought: a checker reports every
 * fault of every branch. We ask which branch the caller meant (the only one of the right type, or the one whose
 * constant field fits) and tell only what is wrong with that one.
 */
export function explain(
  schema: JsonSchema,
  faults: readonly ErrorObject[],
  part: (pointer: string) => ValidateFunction,
): Violation[] {
  const pointers = new Map<unknown, string>();
  eachPart(schema, (node, pointer) => pointers.set(node, pointer));
  const seen = new Map<string, Violation>();
  for (const violation of explainAll({ schema, pointers, part }, faults, "")) {
    seen.set(`${violation.pointer} ${violation.message}`, violation);
  }
  return [...seen.values()];
}

interface Context {
  readonly schema: JsonSchema;
  readonly pointers: ReadonlyMap<unknown, string>;
  part(pointer: string): ValidateFunction;
}

function explainAll(context: Context, faults: readonly ErrorObject[], path: string): Violation[] {
  return withoutBranches(context, faults).flatMap((fault) => {
    if (isUnion(fault)) return explainUnion(context, fault, path);
    const violation = toViolation(fault);
    return [{ ...violation, pointer: path + violation.pointer }];
  });
}

/** A union that no branch fits. (A `oneOf` that two branches fit is an ordinary fault.) */
function isUnion(fault: ErrorObject): boolean {
  return fault.keyword === "anyOf" || (fault.keyword === "oneOf" && fault.params.passingSchemas === null);
}

/** Drops the faults that only say why a larger one is one. */
function withoutBranches(context: Context, faults: readonly ErrorObject[]): ErrorObject[] {
  const kept: ErrorObject[] = [];
  const swallowed: { path: string; nodes: ReadonlySet<unknown> }[] = [];
  for (let i = faults.length - 1; i >= 0; i--) {
    const fault = faults[i] as ErrorObject;
    if (swallowed.some(({ path, nodes }) => isUnder(fault.instancePath, path) && nodes.has(fault.parentSchema)))
      continue;
    if (isUnion(fault) || fault.keyword === "contains") {
      swallowed.push({ path: fault.instancePath, nodes: reachable(context.schema, [fault.schema].flat()) });
    }
    kept.push(fault);
  }
  const telling = kept.filter((fault) => fault.keyword !== "if" && fault.keyword !== "propertyNames");
  return (telling.length > 0 ? telling : kept).reverse();
}

function isUnder(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}/`);
}

/** Every node that a check of these may look at. */
function reachable(root: JsonSchema, from: readonly unknown[]): ReadonlySet<unknown> {
  const nodes = new Set<unknown>();
  const visit = (start: unknown): void => {
    eachPart(start, (node) => {
      if (nodes.has(node)) return;
      nodes.add(node);
      if (node.$ref !== undefined) {
        const target = resolvePointer(root, node.$ref);
        if (!nodes.has(target)) visit(target);
      }
    });
  };
  for (const start of from) visit(start);
  return nodes;
}

const kindKeywords: ReadonlySet<string> = new Set(["type", "const", "enum", "x-plinth", "false schema"]);

function explainUnion(context: Context, fault: ErrorObject, path: string): Violation[] {
  const here = path + fault.instancePath;
  const union = context.pointers.get(fault.parentSchema);
  const branches = Array.isArray(fault.schema) ? fault.schema : [];
  const results = branches.map((_, i) => {
    const check = context.part(`${union}/${fault.keyword}/${i}`);
    check(fault.data);
    return withoutBranches(context, check.errors ?? []);
  });
  const ofKind = results.filter((faults) => !faults.some((f) => f.instancePath === "" && kindKeywords.has(f.keyword)));
  if (ofKind.length === 0) {
    const kinds = results.flatMap((faults) => {
      const own = faults.filter((f) => f.instancePath === "" && kindKeywords.has(f.keyword));
      const values = own.filter((f) => f.keyword === "const" || f.keyword === "enum");
      return values.length > 0 ? values : own;
    });
    return [{ pointer: here, message: `must be ${oneOf(wanted(kinds))}`, keyword: fault.keyword }];
  }
  if (ofKind.length === 1) return explainAll(context, ofKind[0] ?? [], here);
  const tagged = ofKind.filter((faults) => !faults.some(isTag));
  if (tagged.length === 1) return explainAll(context, tagged[0] ?? [], here);
  const tags = ofKind.map((faults) => faults.find(isTag));
  const tag = tags[0]?.instancePath;
  if (tag !== undefined && tags.every((f) => f?.instancePath === tag)) {
    const message = `must be ${oneOf(wanted(tags.filter((f) => f !== undefined)))}`;
    return [{ pointer: here + tag, message, keyword: "enum" }];
  }
  return [{ pointer: here, message: `matches none of the ${branches.length} allowed forms`, keyword: fault.keyword }];
}

/** A constant field, one step below the union: the mark by which branches are told apart. */
function isTag(fault: ErrorObject): boolean {
  return (fault.keyword === "const" || fault.keyword === "enum") && /^\/[^/]+$/.test(fault.instancePath);
}

function wanted(faults: readonly ErrorObject[]): string[] {
  return [...new Set(faults.map((fault) => toViolation(fault).message.replace(/^must be /, "")))];
}
