import { edgesOf, isTest, roomOf, rooms } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

const banned = /^(?:types?|utils?|helpers?|common|misc|shared|stuff)$/;

function fileNames(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const path of tree.keys()) {
    if (!/^(?:src|scripts|test|bench)\/.*\.ts$/.test(path)) continue;
    const name = path.slice(path.lastIndexOf("/") + 1, -3);
    const bare = name.replace(
      /\.(?:test|test-d|fixture|gen|bench|raw-socket|conformance|placement|fault|corpus)(?=\.|$)/g,
      "",
    );
    if (banned.test(bare))
      found.push({ path, message: `"${bare}" says nothing: name the file after the one idea in it` });
    else if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(bare)) found.push({ path, message: "file names are kebab-case nouns" });
  }
  return found;
}

/** A doc comment, with nothing but imports before it. */
const headed = /^(?:import\b[^;]*;\s*)*\/\*\*/;

function doors(tree: Tree): Problem[] {
  return rooms(tree).flatMap((room) => {
    const path = `src/${room}/index.ts`;
    const text = tree.get(path);
    if (text === undefined)
      return [{ path, message: `the room ${room} has no door: write a short list of its names here` }];
    return headed.test(text)
      ? []
      : [{ path, line: 1, message: "a door begins with a comment that says what the room is for" }];
  });
}

/** Entry points: what nobody inside imports, because the world outside does. */
function isEntry(path: string): boolean {
  return /^src\/(?:index|testing)\.ts$|\/(?:index|testing)\.ts$|\.gen\.ts$|^src\/cli\/(?:main|plinth)\.ts$/.test(path);
}

function orphans(tree: Tree): Problem[] {
  const reached = new Set<string>();
  for (const [path, text] of tree) {
    if (isTest(path) || !/\.(?:ts|js)$/.test(path)) continue;
    for (const edge of edgesOf(path, text)) if (edge.to && edge.to !== path) reached.add(edge.to);
  }
  const found: Problem[] = [];
  for (const path of tree.keys()) {
    if (!path.startsWith("src/") || !path.endsWith(".ts") || isTest(path) || isEntry(path) || reached.has(path))
      continue;
    if (roomOf(path) === "cli" && /\/commands\//.test(path)) continue;
    found.push({ path, message: "nothing but tests imports this file: use it, or remove it" });
  }
  return found;
}

export const nameChecks: readonly Check[] = [
  {
    name: "files are named after one idea",
    find: fileNames,
    bad: [
      { files: { "src/cache/types.ts": "" }, says: /"types" says nothing/ },
      { files: { "src/cache/helpers.ts": "" }, says: /"helpers" says nothing/ },
      { files: { "scripts/utils.test.ts": "" }, says: /"utils" says nothing/ },
      { files: { "src/cache/memoryCache.ts": "" }, says: /kebab-case/ },
    ],
    good: {
      "src/cache/memory-cache.test.ts": "",
      "src/cache/a.test-d.ts": "",
      "src/gateway/framing.raw-socket.test.ts": "",
      "src/engines/index.gen.ts": "",
      "docs/Types.md": "",
    },
  },
  {
    name: "every room has a door with a head comment",
    find: doors,
    bad: [
      { files: { "src/cache/a.ts": "" }, says: /cache has no door/ },
      { files: { "src/engines/redis/a.ts": "" }, says: /engines\/redis has no door/ },
      { files: { "src/cache/index.ts": 'export { x } from "./a.ts";' }, says: /begins with a comment/ },
    ],
    good: {
      "src/cache/index.ts": "/** Caches. */\n",
      "src/engines/redis/index.ts": 'import { a } from "./a.ts";\n\n/** Redis. */\nexport default a;',
      "src/index.ts": "",
      "src/engines/index.gen.ts": "",
    },
  },
  {
    name: "every file is imported by something",
    find: orphans,
    bad: [
      { files: { "src/cache/a.ts": "" }, says: /nothing but tests/ },
      { files: { "src/cache/a.ts": "", "src/cache/a.test.ts": 'import "./a.ts";' }, says: /nothing but tests/ },
    ],
    good: {
      "src/cache/index.ts": 'export { a } from "./a.ts";\nexport type { B } from "./b.ts";',
      "src/cache/a.ts": 'new Worker(new URL("./c.ts", import.meta.url));',
      "src/cache/b.ts": "",
      "src/cache/c.ts": "",
      "src/cli/commands/dev.ts": "",
    },
  },
];
