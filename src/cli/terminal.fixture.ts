import { fileURLToPath } from "node:url";
import type { ExitCode } from "../lifecycle/index.ts";
import { runCli } from "./cli.ts";
import type { Screen, Terminal } from "./terminal.ts";

/** A terminal that keeps what is written, and the exit code of a command line run on it. */
export interface Ran {
  readonly code: ExitCode | undefined;
  readonly out: string;
  readonly err: string;
}

export const repository = fileURLToPath(new URL("../../", import.meta.url));
export const workshop = `${repository}src/cli/fixtures/workshop/app.ts`;
export const hello = `${repository}examples/hello/app.ts`;

export interface RunOptions extends Partial<Pick<Terminal, "cwd" | "environment">> {
  readonly input?: string;
  readonly answer?: string;
  readonly coloured?: boolean;
}

export async function run(line: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { terminal, written } = capturedTerminal(options);
  const code = await runCli(line, terminal);
  return { code, ...written() };
}

export function capturedTerminal(options: RunOptions = {}): {
  readonly terminal: Terminal;
  readonly written: () => { out: string; err: string };
} {
  const texts = { out: "", err: "" };
  const screen = (name: "out" | "err"): Screen => ({
    write(text) {
      texts[name] += text;
    },
    style: (style, text) => (options.coloured ? `<${style}>${text}</>` : text),
  });
  return {
    written: () => ({ ...texts }),
    terminal: {
      out: screen("out"),
      err: screen("err"),
      cwd: options.cwd ?? repository,
      environment: options.environment ?? {},
      read: async () => options.input ?? "",
      ask: async () => options.answer,
    },
  };
}
