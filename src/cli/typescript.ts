/**
 * From now on this process can import TypeScript, apps' own files first of all. Worth it only when there is some: it
 * takes a fifth of a second. The launcher of a clone has done it already and left a mark.
 */
export async function registerTypeScript(): Promise<void> {
  const marks: Record<symbol, unknown> = globalThis as unknown as Record<symbol, unknown>;
  if (marks[mark]) return;
  marks[mark] = true;
  const { register } = await import("tsx/esm/api");
  register();
}

/** The same word as in bin/source.js. */
const mark = Symbol.for("plinth.typescript");
