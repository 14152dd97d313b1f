import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { App } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import { registerTypeScript } from "./typescript.ts";

const defaults = ["app.ts", "src/app.ts", "app.js"] as const;

/** Where the app file is. StartError APP_FILE_MISSING says where it was looked for. */
export function findAppFile(folder: string, given: string | undefined): string {
  if (given !== undefined)
    return existing(resolve(folder, given), `--app ${given}: there is no such file in ${folder}.`);
  const named = namedInPackage(join(folder, "package.json"));
  if (named !== undefined) {
    return existing(resolve(folder, named), `package.json: "plinth": { "app": "${named}" }: there is no such file.`);
  }
  const found = defaults.map((name) => join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new StartError(
    "APP_FILE_MISSING",
    `There is no app in ${folder}: looked for ${defaults.join(", ")}, and for "plinth": { "app": "FILE" } in package.json. Go to the app's folder, or name its file: --app FILE. For a new app: plinth new NAME`,
  );
}

function existing(file: string, problem: string): string {
  if (existsSync(file)) return file;
  throw new StartError("APP_FILE_MISSING", problem);
}

function namedInPackage(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const { plinth } = JSON.parse(readFileSync(file, "utf8")) as { plinth?: { app?: unknown } };
    return typeof plinth?.app === "string" ? plinth.app : undefined;
  } catch (cause) {
    throw new StartError("APP_FILE_MISSING", `${file}: it is no JSON (${(cause as Error).message}); correct it.`, {
      cause,
    });
  }
}

/** The app that a file exports by default, TypeScript or not. A file that cannot be loaded is a StartError. */
export async function loadApp(file: string): Promise<App> {
  const shown = relative(process.cwd(), file) || file;
  checkCopy(file, shown);
  if (/^\.[mc]?tsx?$/.test(extname(file))) await registerTypeScript();
  const exports = await importFile(file, shown);
  const { default: app } = exports as { default?: Partial<App> };
  if (app?.kind === "app") return app as App;
  throw new StartError(
    "APP_FILE_WRONG",
    `${shown}: its default export is no app; write export default app({ name: "…", services: [ … ] }).`,
  );
}

async function importFile(file: string, shown: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (thrown) {
    if (thrown instanceof StartError) throw thrown;
    throw new StartError("APP_FILE_WRONG", `${shown}: it cannot be loaded: ${explain(thrown)}`, { cause: thrown });
  }
}

/** What went wrong, and the first place in the app's own files that the error knows of. */
function explain(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const missing = /Cannot find package '([^']+)'/.exec(thrown.message)?.[1];
  if (missing !== undefined) {
    return `the package "${missing}" is not installed. Run npm install${missing === "plinth" ? "" : ` ${missing}`}.`;
  }
  if (/require\(\) ES Module|import statement outside a module/.test(thrown.message)) {
    return 'Node takes it for CommonJS, and Plinth is ES modules. Run npm pkg set type=module: it puts "type": "module" into package.json.';
  }
  const place = (thrown.stack ?? "")
    .split("\n")
    .map((line) => /^\s+at (?:.*\()?(?:file:\/\/)?(\/[^()]+:\d+:\d+)\)?$/.exec(line)?.[1])
    .find((path) => path !== undefined && !path.includes("/node_modules/"));
  return `${thrown.message}${place === undefined || thrown.message.includes(place) ? "" : `\n  at ${place}`}`;
}

const ownRoot = realpathSync(fileURLToPath(new URL("../../", import.meta.url)));

/**
 * The app must be written with the package that this command belongs to: two copies have two of every class, and an
 * error of one is a stranger to the other.
 */
function checkCopy(file: string, shown: string): void {
  const other = copyOf(file);
  if (other === undefined || other === ownRoot.replace(/[/\\]$/, "")) return;
  throw new StartError(
    "PACKAGE_TWICE",
    `${shown}: it uses the copy of plinth in ${other}, and this command is another one, from ${ownRoot}. Run the app's own: npx plinth, in its folder.`,
  );
}

function copyOf(file: string): string | undefined {
  try {
    return realpathSync(dirname(createRequire(file).resolve("plinth/package.json")));
  } catch {
    // The app finds no plinth at all: importing it says so better, and an app may import it by another way.
    return undefined;
  }
}
