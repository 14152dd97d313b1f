/**
 * Runs a clone of Plinth from `src/`, without building it: TypeScript through tsx, and `import "plinth"` by the condition
 * `plinth:source`, for whoever imports it.
 *
 * The condition is added by a hook of this process and not by starting another one with `--conditions`: a second process
 * would cost time at each start, and would stand between the first one and its signals.
 */
import { register } from "node:module";

/** True when the source was asked for by name: `node --conditions=plinth:source`. */
export function usesSource() {
  return import.meta.resolve("plinth").endsWith("/src/index.ts");
}

export async function useSource() {
  const { register: registerTypeScript } = await import("tsx/esm/api");
  registerTypeScript();
  // For the rest of the program: TypeScript is spoken already.
  globalThis[Symbol.for("plinth.typescript")] = true;
  if (!usesSource()) register("./source-hooks.js", import.meta.url);
}
