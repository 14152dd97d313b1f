import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository as plain data: path from the root, with slashes → text. What checks and generators work on. */
export type Tree = ReadonlyMap<string, string>;

export const root: string = fileURLToPath(new URL("../../", import.meta.url));

const binary = /\.(?:png|jpe?g|gif|ico|webp|woff2?|gz|br|zip|tgz|pdf)$/;

/** Reads every file that git would keep. It asks `.gitignore` and not git, so that it works in a plain copy as well. */
export function readTree(folder: string = root): Tree {
  const ignored = parseIgnore(readFileSync(`${folder}/.gitignore`, "utf8"));
  const tree = new Map<string, string>();
  const walk = (path: string): void => {
    for (const entry of readdirSync(`${folder}/${path}`, { withFileTypes: true })) {
      const child = path + entry.name;
      if (entry.name === ".git" || ignored(child, entry.isDirectory())) continue;
      if (entry.isDirectory()) walk(`${child}/`);
      else if (entry.isFile() && !binary.test(child)) tree.set(child, readFileSync(`${folder}/${child}`, "utf8"));
    }
  };
  walk("");
  return new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The part of the `.gitignore` language that we use: names, `*` within a name, a leading or inner slash, a trailing one. */
export function parseIgnore(text: string): (path: string, isFolder: boolean) => boolean {
  const rules = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      if (line.startsWith("!") || line.includes("**")) throw new Error(`.gitignore: "${line}" is not understood here`);
      const folderOnly = line.endsWith("/");
      const body = line.replace(/\/$/, "");
      const anchored = body.includes("/");
      const pattern = body
        .replace(/^\//, "")
        .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
        .replace(/\*/g, "[^/]*");
      return { folderOnly, pattern: new RegExp(anchored ? `^${pattern}$` : `(?:^|/)${pattern}$`) };
    });
  return (path, isFolder) => rules.some((rule) => (isFolder || !rule.folderOnly) && rule.pattern.test(path));
}
