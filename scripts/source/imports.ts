import { mask } from "./mask.ts";

/** One place where a file names another module. */
export interface Import {
  readonly specifier: string;
  /** `static`: import or export … from. `lazy`: `import()`. `url`: `new URL("./x.ts", import.meta.url)` and the like. */
  readonly kind: "static" | "lazy" | "url";
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

const quoted = `(["'])`;
const statement = new RegExp(`^[ \\t]*(?:import|export)\\b([\\w$\\s{},*]*?)\\bfrom\\s*${quoted}`, "gm");
const sideEffect = new RegExp(`^[ \\t]*import\\s*${quoted}`, "gm");
const call = new RegExp(`(\\btypeof\\s+)?\\bimport\\s*\\(\\s*${quoted}`, "g");
const resolve = new RegExp(`\\b(?:require|require\\.resolve|import\\.meta\\.resolve|new URL)\\(\\s*${quoted}`, "g");

/** Every import of a TypeScript text, in order. Regular expressions over formatted code; comments and strings do not count. */
export function importsOf(text: string): Import[] {
  const { code } = mask(text);
  const found: (Import & { at: number })[] = [];
  const add = (match: RegExpExecArray, kind: Import["kind"], typeOnly: boolean): void => {
    const start = match.index + match[0].length;
    const end = code.indexOf(match.at(-1) as string, start);
    if (kind === "url" && match[0].startsWith("new URL") && !/^["'],\s*import\.meta\.url/.test(code.slice(end))) return;
    found.push({ specifier: text.slice(start, end), kind, typeOnly, line: lineOf(text, start), at: start });
  };
  for (const match of code.matchAll(statement)) add(match, "static", isTypeOnly(match[1] as string));
  for (const match of code.matchAll(sideEffect)) add(match, "static", false);
  for (const match of code.matchAll(call)) add(match, "lazy", match[1] !== undefined);
  for (const match of code.matchAll(resolve)) add(match, "url", false);
  return found.sort((a, b) => a.at - b.at).map(({ at: _, ...rest }) => rest);
}

/** `import type …`, or a list in which each name has its own `type`. */
function isTypeOnly(clause: string): boolean {
  if (/^\s*type\b(?!\s*,)/.test(clause)) return true;
  const list = /^\s*\{([^}]*)\}\s*$/.exec(clause);
  const names = list?.[1]?.split(",").filter((name) => name.trim() !== "") ?? [];
  return names.length > 0 && names.every((name) => /^\s*type\s/.test(name));
}

export function lineOf(text: string, index: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i !== -1 && i < index; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** The package of a bare specifier: `@a/b/c` → `@a/b`, `x/y` → `x`. Undefined for relative, `node:` and own names. */
export function packageOf(specifier: string): string | undefined {
  if (/^(?:[./#]|node:|file:|data:)/.test(specifier) || specifier === "") return undefined;
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
}
