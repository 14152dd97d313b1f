import type { Model } from "../app/index.ts";

/**
 * A generator turns the Model into files: pure, without disk, the same bytes for the same Model. Only the caller writes,
 * showing a plan first. It never sees the app's code, secrets or absolute paths.
 */
export interface Generator {
  readonly name: string;
  /** One line for help. */
  readonly describe: string;
  generate(model: Model): readonly GeneratedFile[];
}

export interface GeneratedFile {
  /** Relative, with "/". */
  readonly path: string;
  readonly content: string;
}
