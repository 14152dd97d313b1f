/**
 * Writes the lists that must name everything, so that nobody keeps them by hand: `npm run gen`. With `--check` it only
 * compares and fails on a difference. The tidy test makes the same comparison.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { enginesList } from "./floors.ts";
import { depsText } from "./gen/deps.ts";
import { enginesDocText, enginesListText } from "./gen/engines.ts";
import { errorsDocText } from "./gen/errors.ts";
import { readTree, root, type Tree } from "./source/tree.ts";

/** Generated path → the function that makes its text from the tree. */
export const generated: Readonly<Record<string, (tree: Tree) => string>> = {
  [enginesList]: enginesListText,
  "deps.txt": depsText,
  "docs/errors.md": errorsDocText,
  "docs/engines.md": enginesDocText,
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

function write(path: string, text: string): void {
  mkdirSync(dirname(root + path), { recursive: true });
  writeFileSync(root + path, text);
  process.stdout.write(`wrote ${path}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
