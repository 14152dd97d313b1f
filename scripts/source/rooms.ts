import { enginesFolder } from "../floors.ts";
import { type Import, importsOf, packageOf } from "./imports.ts";
import type { Tree } from "./tree.ts";

/**
 * The room of a path: `src/cache/x.ts` → `cache`, `src/engines/redis/x.ts` → `engines/redis`. The package's doors and the
 * list and contract of the engines have none.
 */
export function roomOf(path: string): string | undefined {
  const parts = path.split("/");
  if (parts[0] === "bin") return "cli";
  if (parts[0] !== "src" || parts.length < 3) return undefined;
  if (parts[1] !== enginesFolder) return parts[1];
  return parts.length > 3 ? parts.slice(1, 3).join("/") : undefined;
}

export function isTest(path: string): boolean {
  return /\.(?:test|test-d|fixture)\.ts$/.test(path) || /\/(?:fixtures?|testdata)\//.test(path);
}

/** TypeScript of the product: under `src/`, tests and generated files left out. */
export function isProduct(path: string): boolean {
  return path.startsWith("src/") && path.endsWith(".ts") && !isTest(path) && !path.endsWith(".gen.ts");
}

export function rooms(tree: Tree): string[] {
  const names = new Set<string>();
  for (const path of tree.keys()) {
    const room = path.startsWith("src/") && path.endsWith(".ts") ? roomOf(path) : undefined;
    if (room) names.add(room);
  }
  return [...names].sort();
}

export interface Edge extends Import {
  readonly from: string;
  /** The path in the repository for a relative import. */
  readonly to: string | undefined;
  /** The name of the package for any other, built-in ones aside. */
  readonly package: string | undefined;
}

const parsed = new Map<string, Import[]>();

/** Everything that the file imports, relative paths resolved against it. */
export function edgesOf(path: string, text: string): Edge[] {
  let imports = parsed.get(text);
  if (!imports) {
    imports = importsOf(text);
    parsed.set(text, imports);
  }
  return imports.map((item) => ({
    ...item,
    from: path,
    to: item.specifier.startsWith(".") ? join(path, item.specifier) : undefined,
    package: packageOf(item.specifier),
  }));
}

function join(from: string, relative: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of relative.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
