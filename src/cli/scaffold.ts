import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { StartError } from "../base/index.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Writes a new app from `templates/app`. The app depends on the package that this command belongs to: by its version
 * when that was installed from a registry, by its path when it is a clone, so that `npm install` needs no network.
 * Throws StartError before anything is written.
 */
export async function scaffold(name: string, folder: string | undefined, terminal: Terminal): Promise<void> {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) {
    throw new StartError(
      "APP_NAME_WRONG",
      `NAME: "${name}" is no name for an app; use small letters, digits and dashes, such as "shop".`,
    );
  }
  const target = resolve(terminal.cwd, folder ?? name);
  const files = await render(name, target);
  const taken = [...files.keys()].filter((path) => existsSync(join(target, path)));
  if (taken.length > 0) {
    throw new StartError(
      "FILE_IN_THE_WAY",
      `${relative(terminal.cwd, target) || "."}: ${taken.join(", ")} exists already; choose another folder with --dir.`,
    );
  }
  for (const [path, text] of files) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), text);
  }
  const { err } = terminal;
  const shown = relative(terminal.cwd, target) || ".";
  err.write(`${err.style("green", "made")} ${err.style("bold", name)} in ${shown}: ${files.size} files\n\n`);
  for (const line of [...(shown === "." ? [] : [`cd ${shown}`]), "npm install", "npm run dev"])
    err.write(`  ${line}\n`);
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const template = join(root, "templates", "app");

/** The new app's files by path. */
async function render(name: string, target: string): Promise<ReadonlyMap<string, string>> {
  const values = valuesFor(name, target);
  const files = new Map<string, string>();
  for (const entry of await readdir(template, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = relative(template, join(entry.parentPath, entry.name)).split(sep).join("/");
    const text = (await readFile(join(template, path), "utf8")).replaceAll(
      /\{\{(\w+)\}\}/g,
      (_all, key: string) => values[key] ?? "",
    );
    // npm leaves a file named .gitignore out of a package.
    files.set(path === "gitignore" ? ".gitignore" : path, text);
  }
  if (isClone()) files.set("tsconfig.json", withSource(files.get("tsconfig.json") ?? ""));
  return files;
}

function valuesFor(name: string, target: string): Readonly<Record<string, string>> {
  const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const local = (folder: string) => `file:${relative(target, folder).split(sep).join("/")}`;
  const tool = (path: string, range: string) => {
    const folder = join(root, "node_modules", path);
    return isClone() && existsSync(folder) ? local(folder) : range;
  };
  return {
    name,
    plinth: isClone() ? local(root) : `^${own.version}`,
    types: tool("@types/node", "^20.19.0"),
    typescript: tool("typescript", ">=5.9.0"),
  };
}

function isClone(): boolean {
  return !root.split(sep).includes("node_modules");
}

/** A clone has no built types: the compiler reads its source, and by the strictness that it was written with. */
function withSource(text: string): string {
  const added = '"customConditions": ["plinth:source"],\n    "exactOptionalPropertyTypes": true,\n    ';
  return text.replace('"types": [', `${added}"types": [`);
}
