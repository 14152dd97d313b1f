import { edgesOf, isTest, roomOf } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

function graph(tree: Tree, node: (path: string) => string | undefined): Graph {
  const found = new Map<string, Set<string>>();
  for (const [path, text] of tree) {
    const from = path.startsWith("src/") && path.endsWith(".ts") && !isTest(path) ? node(path) : undefined;
    if (from === undefined) continue;
    const edges = found.get(from) ?? new Set();
    found.set(from, edges);
    for (const edge of edgesOf(path, text)) {
      const to = edge.to?.startsWith("src/") ? node(edge.to) : undefined;
      if (to !== undefined && (to !== from || edge.to === path)) edges.add(to);
    }
  }
  return found;
}

/** One way around for each knot: a depth-first walk that stops where it meets its own path. */
function cyclesIn(edges: Graph): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (node: string): void => {
    const met = path.indexOf(node);
    if (met !== -1) {
      found.push([...path.slice(met), node]);
      return;
    }
    if (done.has(node)) return;
    path.push(node);
    for (const next of edges.get(node) ?? []) walk(next);
    path.pop();
    done.add(node);
  };
  for (const node of edges.keys()) walk(node);
  return found;
}

function cycleProblems(edges: Graph): Problem[] {
  return cyclesIn(edges).map((cycle) => ({
    path: cycle[0] as string,
    message: `imports itself in a circle: ${cycle.join(" -> ")}. Move what both need into a file of its own, or lower`,
  }));
}

export const cycleChecks: readonly Check[] = [
  {
    name: "no files import each other in a circle, types included",
    find: (tree) => cycleProblems(graph(tree, (path) => path)),
    bad: [
      {
        files: { "src/base/a.ts": 'import "./b.ts";', "src/base/b.ts": 'import type { A } from "./a.ts";' },
        says: /src\/base\/a\.ts -> src\/base\/b\.ts -> src\/base\/a\.ts/,
      },
      { files: { "src/base/a.ts": 'export { a } from "./a.ts";' }, says: /circle/ },
      {
        files: {
          "src/base/a.ts": 'import "./b.ts";',
          "src/base/b.ts": 'import "./c.ts";',
          "src/base/c.ts": 'let x: import("./a.ts").A;',
        },
        says: /a\.ts -> src\/base\/b\.ts -> src\/base\/c\.ts -> src\/base\/a\.ts/,
      },
    ],
    good: {
      "src/base/a.ts": 'import "./b.ts";\nimport "./c.ts";',
      "src/base/b.ts": 'import "./c.ts";',
      "src/base/c.ts": "",
    },
  },
  {
    name: "no rooms import each other in a circle, types included",
    find: (tree) => cycleProblems(graph(tree, roomOf)),
    bad: [
      {
        files: { "src/a/x.ts": 'import "../b/index.ts";', "src/b/y.ts": 'import type { X } from "../a/index.ts";' },
        says: /a -> b -> a/,
      },
    ],
    good: { "src/a/x.ts": 'import "../b/index.ts";', "src/b/y.ts": "", "src/b/y.test.ts": 'import "../a/testing.ts";' },
  },
];
