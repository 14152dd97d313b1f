import type { App, Model } from "../app/index.ts";
import { buildModel } from "../app/index.ts";
import { findAppFile, loadApp } from "./app-file.ts";
import type { Terminal } from "./terminal.ts";

/** The app in this folder, or in the file that was named. */
export function loadAppOf(terminal: Terminal, file: string | undefined): Promise<App> {
  return loadApp(findAppFile(terminal.cwd, file));
}

/** Its Model. StartError tells everything that is wrong with the app. */
export async function loadModel(terminal: Terminal, file: string | undefined): Promise<Model> {
  return buildModel(await loadAppOf(terminal, file));
}
