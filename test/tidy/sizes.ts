import { lineOf } from "../../scripts/source/imports.ts";
import { mask } from "../../scripts/source/mask.ts";
import { isProduct, isTest } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

const fileLinesMax = 400;
/** A test is a list of claims, which may be longer than a thought. */
const testLinesMax = 600;
const functionLinesMax = 70;

/** `path` or `path#function` → why it may be longer. Keep it short. */
export const exceptions: Readonly<Record<string, string>> = {};

function longFiles(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    if (!/^(?:src|scripts|test|bench)\/.*\.ts$/.test(path) || path.endsWith(".gen.ts") || exceptions[path]) continue;
    const lines = text.split("\n").length - 1;
    const most = isTest(path) ? testLinesMax : fileLinesMax;
    if (lines > most)
      found.push({ path, message: `${lines} lines, at most ${most}: it holds two ideas, make it two files` });
  }
  return found;
}

export interface Measured {
  readonly name: string;
  readonly line: number;
  /** From the opening to the closing brace, without the functions inside, which are measured on their own. */
  readonly lines: number;
}

/** `)`, `=>`, or `)` with a return type whose last character can end a type. */
const opener = /(?:\)|=>|\)\s*:\s*(?:[^;{}()=\n]|\n +|=>|\{[^{}]*\})*(?:[\w\]>"']|\{[^{}]*\}))\s*$/;
const statement = /(?:^|[^\w$.])(?:if|for|while|switch|catch|with)\s*(?:await\s*)?$/;

/** The functions of a text, found by their braces. */
export function functionsOf(text: string): Measured[] {
  const { code } = mask(text);
  const found: Measured[] = [];
  const open: { at: number; isFunction: boolean; inside: number }[] = [];
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "{") open.push({ at, isFunction: opensFunction(code, at), inside: 0 });
    if (code[at] !== "}") continue;
    const block = open.pop();
    if (!block) continue;
    const outer = open.at(-1);
    const total = lineOf(text, at) - lineOf(text, block.at) + 1;
    if (block.isFunction)
      found.push({ name: nameBefore(code, block.at), line: lineOf(text, block.at), lines: total - block.inside });
    if (outer) outer.inside += block.isFunction ? Math.max(0, total - 2) : block.inside;
  }
  return found;
}

function opensFunction(code: string, at: number): boolean {
  const before = code.slice(Math.max(0, at - 400), at);
  if (!opener.test(before)) return false;
  const close = before.lastIndexOf(")");
  if (/=>\s*$/.test(before) || close === -1) return true;
  let depth = 0;
  for (let i = close; i >= 0; i--) {
    if (before[i] === ")") depth++;
    if (before[i] === "(" && --depth === 0) return !statement.test(before.slice(0, i));
  }
  return true;
}

/** The last name on the line that opens the function, good enough for a message. */
function nameBefore(code: string, at: number): string {
  const line = code.slice(code.lastIndexOf("\n", at) + 1, at);
  return (
    /(?:function\*?|const|let|async|get|set|\*)?\s*([A-Za-z_$#][\w$]*)\s*(?:[=:(<]|$)/.exec(
      line.replace(/^\s*(?:export|async|static|private|readonly|default)\s+/g, ""),
    )?.[1] ?? "function"
  );
}

function longFunctions(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    if (!isProduct(path) && !/^(?:scripts|bench)\/.*\.ts$/.test(path)) continue;
    for (const { name, line, lines } of functionsOf(text)) {
      if (lines <= functionLinesMax || exceptions[`${path}#${name}`]) continue;
      found.push({
        path,
        line,
        message: `${name} has ${lines} lines of its own, at most ${functionLinesMax}: let it decide, and others compute`,
      });
    }
  }
  return found;
}

function staleExceptions(tree: Tree): Problem[] {
  return Object.keys(exceptions)
    .filter((key) => !tree.has(key.split("#")[0] as string))
    .map((path) => ({ path, message: "the exception in test/tidy/sizes.ts is for a file that is gone: remove it" }));
}

const lines = (count: number): string => "  work();\n".repeat(count);

export const sizeChecks: readonly Check[] = [
  {
    name: `no file has more than ${fileLinesMax} lines, no test more than ${testLinesMax}`,
    find: (tree) => [...longFiles(tree), ...(tree.has("package.json") ? staleExceptions(tree) : [])],
    bad: [
      { files: { "src/app/a.ts": lines(401) }, says: /401 lines, at most 400/ },
      { files: { "src/app/a.test.ts": lines(601) }, says: /601 lines, at most 600/ },
    ],
    good: {
      "src/app/a.ts": lines(400),
      "src/engines/index.gen.ts": lines(500),
      "docs/a.md": lines(500),
      "test/a.test.ts": lines(600),
    },
  },
  {
    name: `no function has more than ${functionLinesMax} lines of its own`,
    find: longFunctions,
    bad: [
      {
        files: { "src/app/a.ts": `export function long(a: string): void {\n${lines(69)}}` },
        says: /a\.ts:1: long has 71 lines/,
      },
      { files: { "src/app/a.ts": `const arrow = async (): Promise<void> => {\n${lines(69)}};` }, says: /arrow has 71/ },
      {
        files: { "src/app/a.ts": `class A {\n  method(x: { y: number }): { z: number } {\n${lines(69)}  }\n}` },
        says: /method has 71/,
      },
      { files: { "src/app/a.ts": `function f() {\n  if (x) {\n${lines(69)}  }\n}` }, says: /f has 73/ },
    ],
    good: {
      "src/app/a.ts": `function factory() {\n  return {\n    a() {\n${lines(60)}    },\n    b: () => {\n${lines(60)}    },\n  };\n}`,
      "src/app/b.ts": `class Long {\n${lines(90)}}\nconst list = {\n${lines(90)}};`,
      "src/app/a.test.ts": `test("x", () => {\n${lines(90)}});`,
    },
  },
];
