/**
 * `npm run build`: `src/` → `dist/`, as it is published: compiled, then bundled (`bundle.ts`). What is no TypeScript would
 * not be found from there, so there is none.
 */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { bundle } from "./bundle.ts";
import { isTest } from "./source/rooms.ts";
import { readTree, root } from "./source/tree.ts";

rmSync(`${root}dist`, { recursive: true, force: true });
const other = [...readTree().keys()].find((path) => path.startsWith("src/") && !path.endsWith(".ts") && !isTest(path));
if (other !== undefined) throw new Error(`${other}: the bundle has code only; put what it holds into a .ts file`);

const compiled = spawnSync(`${root}node_modules/.bin/tsc`, ["-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
const problem = compiled.status === 0 ? bundle(`${root}dist`) : "";
if (problem !== undefined) {
  process.stderr.write(problem);
  process.exitCode = 1;
} else process.stdout.write("built dist/\n");
