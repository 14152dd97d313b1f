import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { root } from "../../scripts/source/tree.ts";
import { programFile, workFolder } from "../build.ts";
import { installPeers } from "../peers.ts";
import type { Launch } from "./launch.ts";

/** Programs that start, by the name of their row. */
const folder = `${workFolder}/start`;
const greeting = { greeting: "Hello, Ada!" };
const hello = {
  directory: folder,
  path: "/hello/Ada",
  isRight: (body: unknown) => JSON.stringify(body) === JSON.stringify(greeting),
};

export const greeters: Readonly<Record<string, () => Launch>> = {
  "node:http": () => program("start/raw"),
  Fastify: () => program("peers/start/fastify"),
  "Fastify and its plugins": () => program("peers/start/fastify-on"),
  NestJS: () => program("peers/start/nest"),
  "NestJS and its modules": () => program("peers/start/nest-on"),
  Plinth: () => plinth("hello-js/app.js"),
  "Plinth, in TypeScript": () => plinth("hello/app.ts"),
};

export const shops: Readonly<Record<string, () => Launch>> = {
  "Plinth, the shop": () => shop("shop-js/app.js", "kept"),
  "Plinth, the shop in TypeScript": () => shop("shop/app.ts", "kept"),
  "the same, for the first time": () => {
    rmSync(`${folder}/data-new`, { recursive: true, force: true });
    return shop("shop/app.ts", "new");
  },
};

function program(name: string): Launch {
  if (name.startsWith("peers/")) installPeers();
  const environment = { NODE_ENV: "production", START_SECRET: "a secret of at least thirty-two characters" };
  return { ...hello, command: [process.execPath, programFile(name)], environment };
}

function plinth(app: string): Launch {
  return { ...hello, command: command(app), environment: { NODE_ENV: "production", ...own } };
}

/** As on a laptop: with the embedded database, a user to sign in as and all checks. */
function shop(app: string, data: string): Launch {
  return {
    command: command(app),
    directory: folder,
    environment: { ...own, PLINTH_DATA: `${folder}/data-${data}` },
    path: "/products",
    isRight: (body) => ((body as { products?: readonly unknown[] }).products?.length ?? 0) > 0,
  };
}

const own = { HOST: "127.0.0.1", PLINTH_MANAGEMENT_PORT: "0" };

function command(app: string): readonly string[] {
  return [process.execPath, `${workFolder}/node_modules/plinth/bin/plinth.js`, "start", "--app", `${folder}/${app}`];
}

/** The examples as a user has them, and compiled; Plinth beside them as it is installed. */
export function prepare(): void {
  cpSync(`${root}bin`, `${workFolder}/node_modules/plinth/bin`, { recursive: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ["hello", "shop"]) {
    const isMeant = (path: string) => !/node_modules|\.(?:test|fixture)\.ts$|\/traffic/.test(path.slice(root.length));
    cpSync(`${root}examples/${name}`, `${folder}/${name}`, { recursive: true, filter: isMeant });
    cpSync(`${folder}/${name}`, `${folder}/${name}-js`, { recursive: true });
    writeFileSync(`${folder}/${name}-js/tsconfig.json`, JSON.stringify(compiling));
    const { stdout } = spawnSync(`${root}node_modules/.bin/tsc`, ["-p", `${folder}/${name}-js`], { encoding: "utf8" });
    if (stdout !== "") throw new Error(`examples/${name} does not compile:\n${stdout}`);
  }
}

const compiling = {
  compilerOptions: {
    ...{
      target: "es2023",
      module: "nodenext",
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
    },
    ...{ noCheck: true, noResolve: true, types: [] },
  },
  include: ["**/*.ts"],
};
