import { join } from "node:path";
import type { Environment } from "../config/index.ts";
import { withEnvFile } from "../config/index.ts";
import type { Terminal } from "./terminal.ts";

/** The environment, with what `.env` in this folder adds. */
export function environmentOf(terminal: Terminal): Environment {
  return withEnvFile(terminal.environment, join(terminal.cwd, ".env"));
}
