import { urlMalformed } from "../errors.ts";
import { canonicalPath } from "./path.ts";
import type { ResolvedRoute } from "./route.ts";

/**
 * A route may stand within another, with stricter rules: `/legacy/admin/*` within `/legacy/*`. Whoever spells its path so
 * that only the outside system takes it for that one (`/legacy/Admin`, and with `looseSegments` `/legacy/admin;x` or
 * `/legacy//admin`) would get there by the rules of the wider one: 400. Undefined where nothing stands within the route.
 */
export function compileNesting(
  route: ResolvedRoute,
  all: readonly ResolvedRoute[],
): ((path: string) => void) | undefined {
  const within = all.filter((each) => each !== route && isWithin(each.fixed, route) && mayShareHost(each, route));
  if (within.length === 0) return undefined;
  return (path) => {
    const clean = canonicalPath(path, true);
    const plain = plainest(clean);
    // What is spelt as declared the routes have decided already, by host and all.
    if (within.some((each) => covers(each, plain, each.fixed.toLowerCase()) && !covers(each, clean, each.fixed))) {
      throw urlMalformed("its path is that of another route, spelt otherwise");
    }
  };
}

function covers({ route }: ResolvedRoute, path: string, fixed: string): boolean {
  return path === fixed || (route.path.endsWith("/*") ? path.startsWith(`${fixed}/`) : path === `${fixed}/`);
}

function isWithin(fixed: string, { route, fixed: outer }: ResolvedRoute): boolean {
  if (!route.path.endsWith("/*")) return false;
  const [a, b] = [fixed.toLowerCase(), outer.toLowerCase()];
  return a.length > b.length && a.startsWith(`${b}/`);
}

function mayShareHost({ route: { host: a } }: ResolvedRoute, { route: { host: b } }: ResolvedRoute): boolean {
  return a === b || a === undefined || b === undefined || a.startsWith("*.") || b.startsWith("*.");
}

/** As the most lenient of servers reads it. */
function plainest(path: string): string {
  return path
    .replace(/%2F/g, "/")
    .replace(/(?:;|%3B)[^/]*/g, "")
    .replace(/\/{2,}/g, "/")
    .toLowerCase();
}
