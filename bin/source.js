/**
 * Runs a clone of Plinth from `src/`, without building it: TypeScript through tsx, and `import "plinth"` by the condition
 * `plinth:source`, for whoever imports it. An app and the command must mean the same package: there would be two of
 * every class otherwise.
 *
 * The condition is added by a hook of this process and not by starting another one with `--conditions`: a second process
 * would cost time at each start, and would stand between the first one and its signals.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { register } from "node:module";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);

/** True in a clone that is not built, or was changed since, or where the source was asked for by `--conditions`. */
export function runsSource() {
  if (meansSource()) return true;
  const built = new URL("dist/cli/main.js", root);
  if (!existsSync(built)) return true;
  // What is published has no such file, and nobody changes it.
  if (!existsSync(new URL("tsconfig.build.json", root))) return false;
  return changedSince(fileURLToPath(new URL("src", root)), statSync(built).mtimeMs);
}

/** Whether `import "plinth"` means the source already, because of a flag of Node. */
function meansSource() {
  return import.meta.resolve("plinth").endsWith("/src/index.ts");
}

/** @param {string} folder @param {number} time @returns {boolean} */
function changedSince(folder, time) {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return changedSince(path, time);
    return !/\.(?:test|test-d|fixture)\.ts$/.test(entry.name) && statSync(path).mtimeMs > time;
  });
}

export async function useSource() {
  await useTypeScript();
  if (!meansSource()) register("./source-hooks.js", import.meta.url);
}

/** From now on this process can import TypeScript. Leaves a mark for the rest of the program: `src/cli/typescript.ts`. */
export async function useTypeScript() {
  const mark = Symbol.for("plinth.typescript");
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ""];
  if (globalThis[mark] || flags.some((flag) => /(?:^|[\s=/])tsx(?:$|[\s/])/.test(flag))) return;
  globalThis[mark] = true;
  const { register: registerTypeScript } = await import("tsx/esm/api");
  registerTypeScript();
}
