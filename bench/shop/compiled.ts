import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { root } from "../../scripts/source/tree.ts";
import { workFolder } from "../build.ts";

/** Compiles the shop beside the Plinth that is measured, as one who deploys it would. Answers its folder. */
export function compileShop(): string {
  const source = `${root}examples/shop`;
  const folder = `${workFolder}/shop`;
  const config = `${workFolder}/shop.tsconfig.json`;
  const compilerOptions = { noEmit: false, noCheck: true, noResolve: true, types: [], rootDir: source, outDir: folder };
  writeFileSync(
    config,
    JSON.stringify({ extends: `${root}tsconfig.json`, compilerOptions, include: [source], exclude: [] }),
  );
  const { status, stdout } = spawnSync(`${root}node_modules/.bin/tsc`, ["-p", config], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the shop does not compile:\n${stdout}`);
  for (const service of readdirSync(source)) {
    const migrations = `${source}/${service}/migrations`;
    if (existsSync(migrations)) cpSync(migrations, `${folder}/${service}/migrations`, { recursive: true });
  }
  return folder;
}
