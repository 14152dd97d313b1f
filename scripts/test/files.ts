import type { Tree } from "../source/tree.ts";

/** What a test proves, told by where it stands and what it is called. The first that fits counts. */
const kinds: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/\.test-d\.ts$/, "type"],
  [/^test\/tidy/, "house rules"],
  [/placement|journey/, "placement"],
  [/crash|fault|kill|chaos/, "fault"],
  [/raw|socket/, "raw socket"],
  [/corpus|corpora|blns/, "corpus"],
  [/conformance|suite|^src\/engines\//, "conformance"],
  [/^examples\//, "example"],
  [/^src\/cli\//, "command"],
  [/^src\/|^test\//, "unit"],
];

export function kindOf(path: string): string {
  return kinds.find(([pattern]) => pattern.test(path))?.[1] ?? "other";
}

/** The test files below the given paths, or all; those that take long first, so that no worker ends up alone. */
export function testFiles(tree: Tree, under: readonly string[]): string[] {
  const inside = (path: string): boolean => under.length === 0 || under.some((part) => isUnder(path, part));
  return [...tree.keys()]
    .filter((path) => /^(?:src|test|examples)\/.*\.test\.ts$/.test(path) && inside(path))
    .sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1));
}

export function isUnder(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`);
}

function weight(path: string): number {
  const order = [
    "unit",
    "house rules",
    "corpus",
    "raw socket",
    "conformance",
    "command",
    "example",
    "fault",
    "placement",
  ];
  return order.indexOf(kindOf(path));
}

/** Each `@ts-expect-error` of a `*.test-d.ts` is a claim that something must not compile. */
export function typeClaims(tree: Tree): number {
  let count = 0;
  for (const [path, text] of tree)
    if (path.endsWith(".test-d.ts")) count += text.match(/@ts-expect-error/g)?.length ?? 0;
  return count;
}
