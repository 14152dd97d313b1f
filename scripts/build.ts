/**
 * `npm run build`: `src/` → `dist/`, as it is published. Compiles, then copies what is no TypeScript (SQL, HTML,
 * templates) to the same place, so that `new URL("./x.sql", import.meta.url)` means the same in both.
 */
import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { isTest } from "./source/rooms.ts";
import { readTree, root } from "./source/tree.ts";

rmSync(`${root}dist`, { recursive: true, force: true });
const compiled = spawnSync(`${root}node_modules/.bin/tsc`, ["-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = compiled.status ?? 1;

if (compiled.status === 0) {
  const others = [...readTree().keys()].filter(
    (path) => path.startsWith("src/") && !path.endsWith(".ts") && !isTest(path),
  );
  for (const path of others) cpSync(root + path, `${root}dist/${path.slice("src/".length)}`);
  process.stdout.write(`built dist/${others.length > 0 ? ` with ${others.length} other files` : ""}\n`);
}
