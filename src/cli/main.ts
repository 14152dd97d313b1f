/** Where the command `plinth` begins: hands the process over to `runCli`, and ends it when that is through. */
import { runCli } from "./cli.ts";
import { processTerminal } from "./terminal.ts";

const code = await runCli(process.argv.slice(2), processTerminal());

if (code !== undefined) {
  // Something may still hold the process up, but the command is done; a pipe gets all that was written first.
  const written = (stream: NodeJS.WriteStream) => new Promise<void>((resolve) => stream.write("", () => resolve()));
  await Promise.all([written(process.stdout), written(process.stderr)]);
  process.exit(code);
}
