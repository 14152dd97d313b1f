import { isUtf8 } from "node:buffer";
import { bodyNotUtf8, jsonMalformed, jsonTooDeep } from "./errors.ts";
import { locateJsonError } from "./json-error.ts";

/**
 * The JSON value in a body. Strict RFC 8259: UTF-8 without byte-order mark. Of a key that comes twice the last one
 * counts; `__proto__` is a key like any other.
 *
 * 400 for bytes that are no UTF-8, for text that is no JSON (with the place), and for nesting deeper than `depthMax`.
 */
export function parseJson(bytes: Buffer, depthMax: number): unknown {
  if (!isUtf8(bytes)) throw bodyNotUtf8();
  const text = bytes.toString("utf8");
  if (mayBeDeep(text, depthMax) && isDeeper(text, depthMax)) throw jsonTooDeep(depthMax);
  try {
    return JSON.parse(text);
  } catch {
    const { expected, ...place } = locateJsonError(text);
    throw jsonMalformed(expected, place);
  }
}

/** Cheap and never wrong about "no": a text with few opening brackets cannot be deep. */
function mayBeDeep(text: string, depthMax: number): boolean {
  if (text.length <= depthMax) return false;
  let count = 0;
  for (let at = text.indexOf("{"); at !== -1; at = text.indexOf("{", at + 1)) if (++count > depthMax) return true;
  for (let at = text.indexOf("["); at !== -1; at = text.indexOf("[", at + 1)) if (++count > depthMax) return true;
  return false;
}

function isDeeper(text: string, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === 0x5c) i++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > depthMax) return true;
    } else if (char === 0x7d || char === 0x5d) depth--;
  }
  return false;
}
