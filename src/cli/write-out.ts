import { mkdir, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StartError } from "../base/index.ts";
import type { Terminal } from "./terminal.ts";

/** Data goes to standard output, or into the file that was named. */
export async function writeOut(terminal: Terminal, name: string | undefined, text: string): Promise<void> {
  if (name === undefined) {
    terminal.out.write(text);
    return;
  }
  const file = resolve(terminal.cwd, name);
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new StartError("FILE_NOT_WRITTEN", `--out ${name}: it cannot be written (${message}); name another file.`, {
      cause,
    });
  }
  terminal.err.write(`wrote ${name}\n`);
}
