import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Browser } from "playwright-core";
import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A Chromium of this machine: PLINTH_TEST_CHROMIUM, or one on the path. Undefined where there is none. */
export const chromiumPath: string | undefined = [process.env.PLINTH_TEST_CHROMIUM ?? "", ...names]
  .flatMap((name) => {
    if (name === "" || isAbsolute(name)) return [name];
    return (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  })
  .find((file) => file !== "" && isRunnable(file));

export const chromiumMissing =
  chromiumPath === undefined ? "there is no Chromium: bash scripts/browser.sh installs one" : false;

export function launchChromium(): Promise<Browser> {
  // As root, as in a container, it has no sandbox; it sees pages of this test alone.
  return chromium.launch({ executablePath: chromiumPath as string, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

function isRunnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
