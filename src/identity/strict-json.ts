import { TokenFault } from "./errors.ts";

/**
 * A JSON object that every reader takes the same way. JSON.parse lets the last of two members of one name win, other
 * readers the first: an attacker chooses what each of them sees (RFC 7515, section 4; RFC 8725bis). Nested deeper than
 * 8 levels it is refused too: no token is.
 */
export function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new TokenFault("no JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TokenFault("no JSON object");
  refuseDoubles(text);
  return value as Record<string, unknown>;
}

/** A byte order mark is kept, and so refused as no JSON. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const depthMax = 8;
const stringPattern = /"(?:[^"\\]|\\.)*"/gy;
const colonPattern = /[ \t\r\n]*:/gy;

/** Walks a text that is known to be JSON: only strings, braces and what follows a string matter. */
function refuseDoubles(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") {
      open.push(character === "{" ? new Set() : undefined);
      if (open.length > depthMax) throw new TokenFault(`JSON deeper than ${depthMax} levels`);
    } else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      stringPattern.lastIndex = at;
      const literal = (stringPattern.exec(text) as RegExpExecArray)[0];
      at += literal.length - 1;
      colonPattern.lastIndex = at + 1;
      if (colonPattern.test(text)) note(open.at(-1) as Set<string>, JSON.parse(literal) as string);
    }
  }
}

function note(names: Set<string>, name: string): void {
  if (names.has(name)) throw new TokenFault("a member stands twice");
  names.add(name);
}
