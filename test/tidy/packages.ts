import { owners } from "../../scripts/floors.ts";
import { edgesOf, isProduct, roomOf } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

interface Manifest {
  name?: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

function manifest(tree: Tree): Manifest {
  return JSON.parse(tree.get("package.json") ?? "{}") as Manifest;
}

interface Use {
  readonly path: string;
  readonly line: number;
  readonly name: string;
  readonly room: string | undefined;
  readonly eager: boolean;
}

/** Every use of a package by the product, the launcher in `bin/` included. */
function uses(tree: Tree): Use[] {
  const found: Use[] = [];
  for (const [path, text] of tree) {
    if (!isProduct(path) && !path.startsWith("bin/")) continue;
    for (const edge of edgesOf(path, text)) {
      if (!edge.package) continue;
      const eager = edge.kind === "static" && !edge.typeOnly;
      found.push({ path, line: edge.line, name: edge.package, room: roomOf(path), eager });
    }
  }
  return found;
}

function ownership(tree: Tree): Problem[] {
  const own = manifest(tree).name;
  return uses(tree).flatMap(({ path, line, name, room }) => {
    const owner = owners[name];
    if (owner === room || name === own) return [];
    const message = owner
      ? `${name} belongs to ${owner}: ask that room for what you need`
      : `${name} has no owner room: give it a line in scripts/floors.ts, or do without`;
    return [{ path, line, message }];
  });
}

function unused(tree: Tree): Problem[] {
  const used = new Set(uses(tree).map((use) => use.name));
  const listed = manifest(tree);
  const declared = Object.keys({ ...listed.dependencies, ...listed.peerDependencies });
  return declared.flatMap((name) => {
    if (!owners[name])
      return [{ path: "package.json", message: `${name} has no owner room: give it a line in scripts/floors.ts` }];
    return used.has(name)
      ? []
      : [{ path: "package.json", message: `${name} is a dependency, but nothing uses it: remove it` }];
  });
}

function eagerPeers(tree: Tree): Problem[] {
  const installed = manifest(tree).dependencies ?? {};
  return uses(tree)
    .filter(({ name, eager }) => eager && owners[name] && !(name in installed))
    .map(({ path, line, name }) => ({
      path,
      line,
      message: `${name} is an optional peer and may be missing: use \`await import("${name}")\`, and \`import type\` for its types`,
    }));
}

interface Lock {
  packages?: Record<string, { dependencies?: Record<string, string>; optionalDependencies?: Record<string, string> }>;
}

/** `npm ci` refuses a lock file that leaves out a package, also one for another platform. */
function missingFromLock(tree: Tree): Problem[] {
  const { packages = {} } = JSON.parse(tree.get("package-lock.json") ?? "{}") as Lock;
  const names = new Set(Object.keys(packages).map((key) => key.slice(key.lastIndexOf("node_modules/") + 13)));
  const needed = Object.entries(packages).flatMap(([key, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => ({ key, name })),
  );
  return needed
    .filter(({ name }) => !names.has(name))
    .map(({ key, name }) => ({
      path: "package-lock.json",
      message: `${key} needs ${name}, which has no entry: add it by hand as npm would, when the registry could not tell of it`,
    }));
}

const pinned = JSON.stringify({ name: "plinth", dependencies: { pg: "1.0.0" } });

export const packageChecks: readonly Check[] = [
  {
    name: "each third-party package is imported in exactly one room",
    find: ownership,
    bad: [
      { files: { "src/cache/a.ts": 'import pg from "pg";' }, says: /pg belongs to engines\/postgres/ },
      { files: { "src/cache/a.ts": 'import type { Pool } from "pg/lib/x.js";' }, says: /pg belongs to/ },
      { files: { "src/cache/a.ts": 'import { map } from "lodash";' }, says: /lodash has no owner room/ },
      { files: { "src/cache/a.ts": 'const x = await import("@redis/client");' }, says: /belongs to engines\/redis/ },
    ],
    good: {
      "src/engines/postgres/a.ts": 'import pg from "pg";\nimport { fs } from "node:fs";',
      "src/cache/a.test.ts": 'import fc from "fast-check";',
      "bin/plinth.js": 'import "tsx/esm";',
    },
  },
  {
    name: "every dependency has an owner room and is used",
    find: unused,
    bad: [
      { files: { "package.json": pinned }, says: /pg is a dependency, but nothing uses it/ },
      { files: { "package.json": '{"dependencies":{"lodash":"1"}}' }, says: /lodash has no owner room/ },
      { files: { "package.json": '{"peerDependencies":{"pg":"1"}}' }, says: /nothing uses it/ },
    ],
    good: { "package.json": pinned, "src/engines/postgres/a.ts": 'import type { Pool } from "pg";' },
  },
  {
    name: "optional peers are loaded when used, never at start",
    find: eagerPeers,
    bad: [
      {
        files: { "package.json": pinned, "src/engines/redis/a.ts": 'import { x } from "@redis/client";' },
        says: /may be missing/,
      },
    ],
    good: {
      "package.json": pinned,
      "src/engines/redis/a.ts": 'import type { X } from "@redis/client";\nconst m = await import("@redis/client");',
      "src/engines/postgres/a.ts": 'import pg from "pg";',
    },
  },
  {
    name: "the lock file names every package, for every platform",
    find: missingFromLock,
    bad: [
      {
        files: { "package-lock.json": '{"packages":{"node_modules/a":{"optionalDependencies":{"@a/darwin":"1"}}}}' },
        says: /node_modules\/a needs @a\/darwin, which has no entry/,
      },
    ],
    good: {
      "package-lock.json":
        '{"packages":{"node_modules/a":{"dependencies":{"b":"1"}},"node_modules/a/node_modules/b":{"version":"1.0.0"}}}',
    },
  },
];
