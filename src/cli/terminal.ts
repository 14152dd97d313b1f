import { createInterface } from "node:readline/promises";
import { styleText } from "node:util";
import type { Environment } from "../config/index.ts";

/**
 * What a command may see and touch of the world around it. A test hands in its own and reads what was written.
 *
 * Data that was asked for goes to `out`; everything said about the work goes to `err`, so that a pipe gets data alone.
 */
export interface Terminal {
  readonly out: Screen;
  readonly err: Screen;
  readonly cwd: string;
  readonly environment: Environment;
  /** Everything that arrives on standard input. */
  read(): Promise<string>;
  /** Asks a person; undefined where there is nobody to answer. */
  ask(question: string): Promise<string | undefined>;
}

export interface Screen {
  write(text: string): void;
  /** Colours the text where a person looks at it; elsewhere gives it back as it is. */
  style(style: Style, text: string): string;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** The terminal that this process was started from. Colour only for a person, and not with NO_COLOR. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  return {
    out: streamScreen(stdout),
    err: streamScreen(stderr),
    cwd: process.cwd(),
    environment: process.env,
    async read() {
      let text = "";
      for await (const chunk of stdin.setEncoding("utf8")) text += chunk;
      return text;
    },
    async ask(question) {
      if (!stdin.isTTY || !stderr.isTTY) return undefined;
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question);
      } finally {
        lines.close();
      }
    },
  };
}

/** A screen on a stream: `hasColors` is there on a terminal alone, and knows NO_COLOR and dumb ones. */
export function streamScreen(stream: NodeJS.WritableStream & { hasColors?(): boolean }): Screen {
  const coloured = stream.hasColors?.() ?? false;
  return {
    write: (text) => void stream.write(text),
    style: (style, text) => (coloured ? styleText(style, text, { validateStream: false }) : text),
  };
}
