import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/source/tree.ts";
import { peersFolder, workFolder } from "../build.ts";

/** What somebody gets who installs it into an empty folder for production. */
export interface Size {
  readonly packages: number;
  readonly mib: number;
  /** Without maps, declarations and sources, which nothing loads. */
  readonly loadableMib: number;
}

const nestParts = ["common", "core", "jwt", "platform-fastify", "throttler"].map((name) => `@nestjs/${name}`);
const fastifyParts = ["fastify", "@fastify/cors", "@fastify/helmet", "@fastify/jwt", "@fastify/rate-limit"];

/** What the greeter with production features is made of. */
export const installed: Readonly<Record<string, readonly string[]>> = {
  "Fastify and its plugins": [...fastifyParts, "prom-client"],
  "NestJS and its modules": [
    ...nestParts,
    ...["@fastify/cors", "@fastify/helmet", "class-transformer", "class-validator", "prom-client"],
    ...["reflect-metadata", "rxjs"],
  ],
};

/** Of packages at the versions that the peers have. */
export function sizeOf(name: string, packages: readonly string[]): Size {
  const { dependencies } = JSON.parse(readFileSync(`${peersFolder}/package.json`, "utf8"));
  return install(
    name,
    packages.map((each) => `${each}@${dependencies[each]}`),
  );
}

/** Of Plinth as it would be published now. Needs what `buildPrograms` built. */
export function sizeOfPlinth(): Size {
  const folder = `${workFolder}/package`;
  mkdirSync(folder, { recursive: true });
  for (const part of ["package.json", "bin", "src", "templates", "docs", "README.md", "LICENSE"])
    cpSync(`${root}${part}`, `${folder}/${part}`, { recursive: true });
  cpSync(`${workFolder}/node_modules/plinth/dist`, `${folder}/dist`, { recursive: true });
  const packed = npm(["pack", "--json", "--pack-destination", workFolder], folder);
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  return install("Plinth", [join(workFolder, filename)]);
}

function install(name: string, packages: readonly string[]): Size {
  const folder = `${workFolder}/size/${name.replaceAll(/\W+/g, "-")}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, '{ "private": true }\n');
  npm(["install", "--omit=dev", "--no-audit", "--no-fund", ...packages], folder);
  const files = filesOf(`${folder}/node_modules`);
  const lock = JSON.parse(readFileSync(`${folder}/node_modules/.package-lock.json`, "utf8"));
  const isLoadable = (path: string) => !/\.(?:map|ts|md)$/.test(path);
  return {
    packages: Object.keys(lock.packages).length,
    mib: mibOf(files),
    loadableMib: mibOf(files.filter(isLoadable)),
  };
}

function npm(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed:\n${stderr}`);
  return stdout;
}

function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function mibOf(files: readonly string[]): number {
  return files.filter((path) => existsSync(path)).reduce((sum, path) => sum + statSync(path).size, 0) / 2 ** 20;
}
