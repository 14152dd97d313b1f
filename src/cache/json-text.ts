import { wrongUse } from "./errors.ts";

/**
 * A value as the text that is stored. What JSON would change silently (a Date, a Map, NaN, a class of your own) is refused,
 * because a hit and a miss would then give different values. Only an `undefined` property is left out without a word.
 */
export function toJsonText(value: unknown): string {
  checkJson(value, "value", 0);
  return JSON.stringify(value);
}

const depthMax = 64;

function checkJson(value: unknown, path: string, depth: number): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (typeof value !== "object") throw unsafe(path, typeof value === "number" ? String(value) : typeof value);
  if (depth >= depthMax) throw unsafe(path, `nested deeper than ${depthMax} levels, or in a circle`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) checkJson(value[i], `${path}[${i}]`, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw unsafe(path, `a ${value.constructor?.name}`);
  if ("toJSON" in value) throw unsafe(path, "an object with toJSON");
  for (const key of Object.keys(value)) {
    const property = (value as Record<string, unknown>)[key];
    if (property !== undefined) checkJson(property, `${path}.${key}`, depth + 1);
  }
}

function unsafe(path: string, what: string): Error {
  return wrongUse("CACHE_VALUE_UNSAFE", `only plain JSON can be cached: ${path} is ${what}`);
}
