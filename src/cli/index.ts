/** The command line: `plinth new`, `dev`, `start` and the others. `main.ts` is where a process begins. */
export { runCli } from "./cli.ts";
export type { Command } from "./command.ts";
export { defineCommand } from "./command.ts";
export type { Screen, Style, Terminal } from "./terminal.ts";
