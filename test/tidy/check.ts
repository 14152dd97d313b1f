import type { Tree } from "../../scripts/source/tree.ts";

/** What is wrong, where, and what to do instead. */
export interface Problem {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

/**
 * One rule of the house. It looks at a tree of files as data, so that a small wrong tree can prove that it fails when it
 * should: each check carries such trees, and a right one beside them.
 */
export interface Check {
  /** What holds when the check passes, as a sentence. */
  readonly name: string;
  find(tree: Tree): Problem[];
  /** Trees that must be refused, each with a piece of the refusal. */
  readonly bad: readonly { readonly files: Files; readonly says: RegExp }[];
  /** A tree that must be accepted although it comes close. */
  readonly good: Files;
}

export type Files = Readonly<Record<string, string>>;

export function show(problem: Problem): string {
  return `${problem.path}${problem.line ? `:${problem.line}` : ""}: ${problem.message}`;
}
