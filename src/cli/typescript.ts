/**
 * From now on this process can import TypeScript, apps' own files first of all. Worth it only when there is some: it
 * takes a fifth of a second. Done twice, it would translate everything twice: so not where the launcher of a clone has
 * done it and left a mark, nor where Node was told to (`--import tsx`).
 */
export async function registerTypeScript(): Promise<void> {
  const marks = globalThis as unknown as Record<symbol, unknown>;
  if (marks[mark] || speaksTypeScript([...process.execArgv, process.env.NODE_OPTIONS ?? ""])) return;
  marks[mark] = true;
  const { register } = await import("tsx/esm/api");
  register();
}

/** The same word as in bin/source.js. */
const mark = Symbol.for("plinth.typescript");

export function speaksTypeScript(flags: readonly string[]): boolean {
  return flags.some((flag) => /(?:^|[\s=/])tsx(?:$|[\s/])/.test(flag));
}
