/** Where a text stops being JSON. `position` counts UTF-16 units from 0; line and column count from 1. */
export interface JsonErrorPlace {
  readonly position: number;
  readonly line: number;
  readonly column: number;
  /** What could have stood there. */
  readonly expected: string;
}

/**
 * Finds the place of the first error in a text that `JSON.parse` refused: Node's own messages name it only sometimes.
 * Runs only on failures; linear, without recursion.
 */
export function locateJsonError(text: string): JsonErrorPlace {
  const [position, expected] = scan(text);
  const before = text.slice(0, position);
  const line = before.split("\n").length;
  return { position, line, column: position - (before.lastIndexOf("\n") + 1) + 1, expected };
}

type Found = readonly [position: number, expected: string];

const spaces = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literal = /true|false|null/y;

function scan(text: string): Found {
  /** The closing bracket of each open one. */
  const open: string[] = [];
  let at = skip(spaces, text, 0);
  let mayClose = false;
  for (;;) {
    // A value, or the end of an empty array or object.
    if (open.at(-1) === "}") {
      const key = scanKey(text, at, mayClose);
      if (typeof key !== "number") return key;
      // With a key there comes a value; without one, only the end of an empty object.
      if (key > at) mayClose = false;
      at = key;
    }
    const char = text[at];
    if (mayClose && char !== undefined && char === open.at(-1)) at = closeAt(open, at);
    else if (char === "{" || char === "[") {
      open.push(char === "{" ? "}" : "]");
      at = skip(spaces, text, at + 1);
      mayClose = true;
      continue;
    } else {
      const end = scanScalar(text, at, mayClose);
      if (typeof end !== "number") return end;
      at = end;
    }
    // After a value: closing brackets, then a comma or the end.
    at = skip(spaces, text, at);
    while (open.length > 0 && text[at] === open.at(-1)) at = skip(spaces, text, closeAt(open, at));
    if (open.length === 0) return [at, "the end of the text"];
    if (text[at] !== ",") return [at, `"," or "${open.at(-1)}"`];
    at = skip(spaces, text, at + 1);
    mayClose = false;
  }
}

function closeAt(open: string[], at: number): number {
  open.pop();
  return at + 1;
}

/** The place after a key and its colon; the place of a closing brace when one may stand there. */
function scanKey(text: string, at: number, mayClose: boolean): number | Found {
  if (mayClose && text[at] === "}") return at;
  if (text[at] !== '"') return [at, mayClose ? 'a name in double quotes or "}"' : "a name in double quotes"];
  const end = scanString(text, at);
  if (typeof end !== "number") return end;
  const colon = skip(spaces, text, end);
  return text[colon] === ":" ? skip(spaces, text, colon + 1) : [colon, '":"'];
}

function scanScalar(text: string, at: number, mayClose: boolean): number | Found {
  if (text[at] === '"') return scanString(text, at);
  const afterLiteral = skip(literal, text, at);
  if (afterLiteral > at) return afterLiteral;
  const afterNumber = skip(number, text, at);
  if (afterNumber > at) return afterNumber;
  return [at, mayClose ? 'a value or "]"' : "a value"];
}

function scanString(text: string, start: number): number | Found {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) return at + 1;
    if (char < 0x20) return [at, "an escape instead of a control character"];
    if (char !== 0x5c) continue;
    const next = text[++at] ?? "";
    if (next === "u") {
      if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 1, at + 5))) return [at + 1, "four hexadecimal digits"];
      at += 4;
    } else if (!'"\\/bfnrt'.includes(next) || next === "") return [at, "an escape such as \\n"];
  }
  return [text.length, "a closing double quote"];
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
