import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { StartError } from "../base/index.ts";
import type { Environment } from "./settings.ts";

/** Largest `.env` file that is read. */
const bytesMax = 1024 * 1024;

/**
 * The environment with what a `.env` file adds: what is set outside wins, also when it is set to nothing. A file that does not exist adds nothing; one
 * that cannot be read is a StartError ENV_FILE_UNREADABLE.
 */
export function withEnvFile(environment: Environment, file: string): Environment {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return environment;
    throw new StartError("ENV_FILE_UNREADABLE", `${file}: it cannot be read; check its permissions or remove it.`, {
      cause,
    });
  }
  if (text.length > bytesMax) {
    throw new StartError(
      "ENV_FILE_UNREADABLE",
      `${file}: it is larger than ${bytesMax} bytes, so it is hardly a list of settings.`,
    );
  }
  // Editors on Windows put a mark at the beginning, which would become part of the first name.
  const merged: Record<string, string | undefined> = { ...parseEnv(text.replace(/^\ufeff/, "")) };
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) merged[name] = value;
  return merged;
}
