import { enginesContract, enginesFloorMax, enginesFolder, enginesList, floorOf } from "../../scripts/floors.ts";
import { type Edge, edgesOf, isTest, roomOf } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

/** The edges that leave a file of `src/` for another one of `src/`. */
function inner(tree: Tree): Edge[] {
  const edges: Edge[] = [];
  for (const [path, text] of tree) {
    if (!path.startsWith("src/") || !path.endsWith(".ts")) continue;
    for (const edge of edgesOf(path, text)) if (edge.to?.startsWith("src/")) edges.push(edge);
  }
  return edges;
}

function problems(tree: Tree, judge: (edge: Edge) => string | undefined): Problem[] {
  return inner(tree).flatMap((edge) => {
    const message = judge(edge);
    return message ? [{ path: edge.from, line: edge.line, message }] : [];
  });
}

/** A room of an edge's end. The list and the contract of the engines count as one; the package's doors have none. */
function endOf(path: string): string | undefined {
  return path === enginesList || path === enginesContract ? enginesFolder : roomOf(path);
}

function wrongFloor(edge: Edge): string | undefined {
  const from = endOf(edge.from);
  const to = endOf(edge.to as string);
  if (from === undefined || edge.from === enginesList || from === to) return undefined;
  // The tests of the top floor are written as apps are: they come in where an app does.
  if (to === undefined && from === "cli" && isTest(edge.from)) return undefined;
  if (to === undefined) return `a room does not import the package's own door ${edge.to}`;
  const line = floorOf(from);
  if (line === undefined) return `"${from}" stands on no floor: give it a line in scripts/floors.ts`;
  if (to === enginesFolder) {
    return line > enginesFloorMax || isTest(edge.from) ? undefined : `${from} (floor ${line}) cannot see the engines`;
  }
  if (to.startsWith(`${enginesFolder}/`)) {
    return isTest(edge.from)
      ? undefined
      : `no room sees an engine: take the driver as an argument, or go through ${enginesList}`;
  }
  const other = floorOf(to);
  if (other === undefined) return `"${to}" stands on no floor: give it a line in scripts/floors.ts`;
  return other < line
    ? undefined
    : `${from} (floor ${line}) cannot see ${to} (floor ${other}): look down, never up or sideways`;
}

function wrongDoor(edge: Edge): string | undefined {
  const from = roomOf(edge.from);
  const to = roomOf(edge.to as string);
  if (to === undefined || from === to) return undefined;
  const inside = (edge.to as string).slice(`src/${to}/`.length);
  if (inside === "index.ts") return undefined;
  if (inside === "testing.ts") {
    const allowed = isTest(edge.from) || edge.from === "src/testing.ts" || from === "verify";
    return allowed ? undefined : `${to}/testing.ts is for proof only: tests, src/testing.ts and verify`;
  }
  return `come in through the door: ../${to}/index.ts, not ${edge.to}`;
}

function ownDoor(edge: Edge): string | undefined {
  const from = roomOf(edge.from);
  const own = from !== undefined && edge.to === `src/${from}/index.ts` && !isTest(edge.from);
  return own && edge.from !== edge.to
    ? "a room never imports its own door: import the file that has the name"
    : undefined;
}

/** An example is what a user would write, so it may use what a user has: the package's two doors. */
function privateParts(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    if (!/^examples\/.*\.[tj]s$/.test(path)) continue;
    const own = path.split("/").slice(0, 2).join("/");
    for (const { to, specifier, line } of edgesOf(path, text)) {
      const outside = to !== undefined && !to.startsWith(`${own}/`);
      const deep = /^plinth\/(?!(?:testing|package\.json)$)/.test(specifier);
      if (outside || deep)
        found.push({ path, line, message: `${specifier}: an example imports "plinth" or "plinth/testing"` });
    }
  }
  return found;
}

export const floorChecks: readonly Check[] = [
  {
    name: "rooms look down, never up or sideways",
    find: (tree) => problems(tree, wrongFloor),
    bad: [
      {
        files: { "src/wire/a.ts": 'import { x } from "../cache/index.ts";' },
        says: /wire \(floor 1\) cannot see cache/,
      },
      { files: { "src/wire/a.ts": 'import type { x } from "../schema/index.ts";' }, says: /up or sideways/ },
      { files: { "src/cache/a.ts": 'import {\n  a,\n  b,\n} from "../rpc/index.ts";' }, says: /a\.ts:4/ },
      { files: { "src/attic/a.ts": 'import { x } from "../base/index.ts";' }, says: /"attic" stands on no floor/ },
      { files: { "src/events/a.ts": 'const m = await import("../app/index.ts");' }, says: /cannot see app/ },
      { files: { "src/events/a.ts": 'export * from "../app/index.ts";' }, says: /cannot see app/ },
      { files: { "src/app/a.ts": 'import pg from "../engines/postgres/index.ts";' }, says: /no room sees an engine/ },
      {
        files: { "src/cache/a.ts": 'import { engines } from "../engines/index.gen.ts";' },
        says: /cannot see the engines/,
      },
      { files: { "src/engines/pg/a.ts": 'import { x } from "../../service/index.ts";' }, says: /cannot see service/ },
      { files: { "src/engines/pg/a.ts": 'import { x } from "../redis/index.ts";' }, says: /no room sees an engine/ },
      { files: { "src/app/a.ts": 'import { x } from "../index.ts";' }, says: /own door/ },
      { files: { "src/app/a.test.ts": 'import { x } from "../index.ts";' }, says: /own door/ },
      { files: { "src/cli/a.ts": 'import { x } from "../index.ts";' }, says: /own door/ },
    ],
    good: {
      "src/cache/a.ts": 'import { x } from "../base/index.ts";\nimport y from "./b.ts";\n// import "../app/index.ts";',
      "src/cache/a.test.ts": 'import pg from "../engines/pglite/index.ts";',
      "src/app/a.ts": 'import { engines } from "../engines/index.gen.ts";',
      "src/engines/pg/a.ts": 'import { x } from "../../events/index.ts";',
      "src/engines/pg/b.ts": 'import type { Engine } from "../engine.ts";',
      "src/engines/engine.ts": 'import type { CacheDriver } from "../cache/index.ts";',
      "src/app/b.ts": 'import type { Engine } from "../engines/engine.ts";',
      "src/engines/index.gen.ts": 'const pg = () => import("./pg/index.ts");',
      "src/index.ts": 'export { x } from "./app/index.ts";',
    },
  },
  {
    name: "rooms come in through the door",
    find: (tree) => problems(tree, wrongDoor),
    bad: [
      {
        files: { "src/app/a.ts": 'import { x } from "../cache/tags.ts";' },
        says: /\.\.\/cache\/index\.ts, not src\/cache\/tags\.ts/,
      },
      { files: { "src/app/a.test.ts": 'import { x } from "../cache/tags.ts";' }, says: /come in through the door/ },
      { files: { "src/app/a.ts": 'import { x } from "../cache/testing.ts";' }, says: /for proof only/ },
      { files: { "src/index.ts": 'export { x } from "./cache/tags.ts";' }, says: /come in through the door/ },
    ],
    good: {
      "src/app/a.ts": 'import { x } from "../cache/index.ts";',
      "src/app/a.test.ts": 'import { x } from "../cache/testing.ts";',
      "src/testing.ts": 'export { x } from "./cache/testing.ts";',
      "src/verify/a.ts": 'import { x } from "../cache/testing.ts";',
    },
  },
  {
    name: "no file imports its own room's door, tests aside",
    find: (tree) => problems(tree, ownDoor),
    bad: [
      { files: { "src/cache/a.ts": 'import { x } from "./index.ts";' }, says: /never imports its own door/ },
      { files: { "src/cli/commands/a.ts": 'import { x } from "../index.ts";' }, says: /own door/ },
    ],
    good: {
      "src/cli/commands/a.ts": 'import { x } from "./index.ts";',
      "src/cache/index.ts": 'export { x } from "./a.ts";',
      "src/cache/a.test.ts": 'import { x } from "./index.ts";',
    },
  },
  {
    name: "examples use the public doors only",
    find: privateParts,
    bad: [
      { files: { "examples/a/app.ts": 'import { app } from "../../src/index.ts";' }, says: /imports "plinth"/ },
      { files: { "examples/a/app.ts": 'import { x } from "../b/app.ts";' }, says: /\.\.\/b\/app\.ts/ },
      { files: { "examples/a/app.ts": 'import { x } from "plinth/src/app/app.ts";' }, says: /plinth\/src/ },
    ],
    good: {
      "examples/a/b/c.ts": 'import { app } from "plinth";\nimport { y } from "../d.ts";\nimport "plinth/testing";',
    },
  },
];
