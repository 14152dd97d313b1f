/**
 * Writes the lists that must name everything, so that nobody keeps them by hand: `npm run gen`. With `--check` it only
 * compares and fails on a difference. The tidy test makes the same comparison.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { enginesList } from "./floors.ts";
import { depsText } from "./gen/deps.ts";
import { enginesDocText, enginesListText } from "./gen/engines.ts";
import { errorsDocText } from "./gen/errors.ts";
import { listPaths, listText } from "./gen/lists.ts";
import { readTree, root, type Tree } from "./source/tree.ts";

/** Generated path → the function that makes its text from the tree; undefined while there is nothing to list. */
export const generated: Readonly<Record<string, (tree: Tree) => string | undefined>> = {
  [enginesList]: enginesListText,
  "deps.txt": depsText,
  "docs/errors.md": errorsDocText,
  "docs/engines.md": enginesDocText,
  ...Object.fromEntries(listPaths.map((path) => [path, (tree: Tree) => listText(tree, path)])),
};

function main(): void {
  const checkOnly = process.argv.includes("--check");
  const tree = readTree();
  let fresh = true;
  for (const [path, make] of Object.entries(generated)) {
    try {
      const text = make(tree);
      if (tree.get(path) === text) continue;
      fresh = false;
      if (checkOnly) report(`${path} is stale: run npm run gen`);
      else write(path, text);
    } catch (thrown) {
      fresh = false;
      report(`${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  if (fresh) process.stdout.write("everything generated is fresh\n");
}

function report(problem: string): void {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}

function write(path: string, text: string | undefined): void {
  if (text === undefined) rmSync(root + path);
  else {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
  }
  process.stdout.write(`${text === undefined ? "removed" : "wrote"} ${path}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
