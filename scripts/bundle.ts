/**
 * Puts what the compiler made into few files, with the small packages that every start needs: 1,300 files are found, read
 * and parsed one by one otherwise, which is most of the time that a small app takes to start. Names stay, and the maps lead
 * back to `src/`, so a stack trace reads as before; declarations stay where the compiler put them.
 *
 * All code is in one folder, `dist/code/`, as deep as a room, so that `new URL("../../bin/plinth.js", import.meta.url)`
 * means the same in both. The doors of the package pass on what is there.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { root } from "./source/tree.ts";

/** The doors of the package, and the files of their code. */
const doors: Readonly<Record<string, string>> = {
  index: "index",
  testing: "testing",
  "verify/index": "verify",
  "cli/main": "main",
};

/** Files that another one starts by its path, which is beside it. */
const programs: Readonly<Record<string, string>> = { "verify/faults/proxy-process": "proxy-process" };

/**
 * Packages that go into the bundle: every start loads them, or nearly, and they look for no files beside their own. One
 * version of each is named in package.json, so nobody gets another one by updating.
 */
const bundled: ReadonlySet<string> = new Set([
  "ajv",
  "ajv-formats",
  "croner",
  "find-my-way",
  "http-cache-semantics",
  "jose",
  "kysely",
  "lru-cache",
  "oidc-provider",
  "pino",
  "structured-headers",
  "typebox",
]);

/** The door of this package prints a warning on Node 20 each time; its parts do not. */
const quietDoor = `export { Provider } from "${root}node_modules/oidc-provider/lib/provider.js";
export * as errors from "${root}node_modules/oidc-provider/lib/helpers/errors.js";
`;

/** Packages of the older kind ask for Node's own modules by `require`. */
const banner = 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/** Bundles the compiled files of `folder` in their place. Answers what went wrong, or nothing. */
export function bundle(folder: string): string | undefined {
  const made = join(folder, "code");
  const list = join(folder, "bundle.json");
  const quiet = join(folder, "quiet-door.mjs");
  writeFileSync(quiet, quietDoor);
  const entries = Object.entries({ ...doors, ...programs });
  const { status, stderr } = spawnSync(
    `${root}node_modules/.bin/esbuild`,
    [
      ...entries.map(([file, name]) => `${name}=${join(folder, `${file}.js`)}`),
      ...packages()
        .filter((name) => !bundled.has(name))
        .map((name) => `--external:${name}`),
      `--alias:oidc-provider=${quiet}`,
      ...["--bundle", "--splitting", "--format=esm", "--platform=node", "--target=node20", "--log-level=warning"],
      ...["--sourcemap", "--sources-content=false", "--legal-comments=none", `--banner:js=${banner}`],
      ...[`--outdir=${made}`, "--chunk-names=[name]-[hash]", `--metafile=${list}`],
    ],
    { cwd: root, encoding: "utf8" },
  );
  rmSync(quiet);
  if (status !== 0) return stderr;
  const { inputs } = JSON.parse(readFileSync(list, "utf8")) as { readonly inputs: Readonly<Record<string, unknown>> };
  rmSync(list);
  removeCode(folder, made);
  for (const [door, name] of Object.entries(doors)) writeDoor(folder, door, name);
  writeFileSync(join(made, "LICENSES.txt"), licencesOf(Object.keys(inputs)));
  return undefined;
}

/** Every package that the product may import. */
function packages(): readonly string[] {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  return Object.keys({ ...dependencies, ...peerDependencies });
}

function writeDoor(folder: string, door: string, name: string): void {
  const file = join(folder, `${door}.js`);
  mkdirSync(dirname(file), { recursive: true });
  const path = posix.relative(posix.dirname(door), `code/${name}.js`);
  writeFileSync(file, `export * from ${JSON.stringify(path.startsWith(".") ? path : `./${path}`)};\n`);
}

/** What is in the bundle now. */
function removeCode(folder: string, made: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (path === made) continue;
    if (entry.isDirectory()) removeCode(path, made);
    else if (/\.js(?:\.map)?$/.test(entry.name)) rmSync(path);
  }
}

/** The texts that have to go wherever these packages go. */
function licencesOf(inputs: readonly string[]): string {
  const folders = new Set(
    inputs
      .map((path) => /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
      .filter((path) => path !== undefined),
  );
  const texts = [...folders].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
    const file = readdirSync(join(root, path)).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? "" : `\n${readFileSync(join(root, path, file), "utf8").trim()}\n`;
    return `${name} ${version} (${license})\n${text}`;
  });
  return `The files in this folder contain these packages.\n\n${texts.join("\n\n")}`;
}
