import { owners } from "../floors.ts";
import { edgesOf, isProduct, roomOf, rooms } from "../source/rooms.ts";
import type { Tree } from "../source/tree.ts";

/** `deps.txt`: which room imports which, types included, and the packages each one owns. Reviewed like code. */
export function depsText(tree: Tree): string {
  const lines = rooms(tree).map((room) => {
    const { rooms: seen, packages } = depsOf(tree, room);
    const outside = packages.length > 0 ? ` + ${packages.join(", ")}` : "";
    return `${room} -> ${seen.join(", ") || "nothing"}${outside}`;
  });
  return `# Room -> rooms it imports + third-party packages. Written by \`npm run gen\`; tests do not count.\n${lines.join("\n")}\n`;
}

export function depsOf(tree: Tree, room: string): { rooms: string[]; packages: string[] } {
  const seen = new Set<string>();
  const packages = new Set<string>();
  for (const [path, text] of tree) {
    if (!isProduct(path) || roomOf(path) !== room) continue;
    for (const edge of edgesOf(path, text)) {
      const other = edge.to?.startsWith("src/") ? roomOfTarget(edge.to) : undefined;
      if (other && other !== room) seen.add(other);
      if (edge.package && edge.package in owners) packages.add(edge.package);
    }
  }
  return { rooms: [...seen].sort(), packages: [...packages].sort() };
}

function roomOfTarget(path: string): string | undefined {
  return roomOf(path) ?? (path.startsWith("src/engines/") ? "engines" : undefined);
}
