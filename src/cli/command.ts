import type { ExitCode } from "../lifecycle/index.ts";
import type { Terminal } from "./terminal.ts";

/**
 * A command: data from which parsing and help are made, and `run`. One file in `commands/` each, named as it is called;
 * what it needs beyond words it imports when it runs, so that help stays quick.
 */
export interface Command<F extends Flags = Flags> {
  /** One line for the list of commands. */
  readonly describe: string;
  /** What else a person should know. */
  readonly details?: string;
  readonly args: readonly Argument[];
  readonly flags: F;
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** The exit code; undefined for a process that lives on. Everything thrown becomes a message and an exit code. */
  run(input: Input<F>): Promise<ExitCode | undefined>;
}

export interface Argument {
  /** Capitals: "NAME". */
  readonly name: string;
  readonly describe: string;
  readonly optional?: boolean;
  /** The last one may take all that follow. */
  readonly many?: boolean;
}

export type Flag = SwitchFlag | TextFlag | NumberFlag;

export interface SwitchFlag {
  readonly kind: "switch";
  readonly describe: string;
}

export interface TextFlag {
  readonly kind: "text";
  /** What stands for the value in help: "FILE". */
  readonly value: string;
  readonly describe: string;
}

/** A whole number. */
export interface NumberFlag {
  readonly kind: "number";
  readonly value: string;
  readonly min: number;
  readonly max: number;
  readonly describe: string;
}

/** By name without the dashes. */
export type Flags = Readonly<Record<string, Flag>>;

export type FlagValues<F> = {
  readonly [K in keyof F]: F[K] extends SwitchFlag
    ? boolean
    : F[K] extends NumberFlag
      ? number | undefined
      : string | undefined;
};

export interface Input<F extends Flags> {
  readonly args: readonly string[];
  /** What stands after `--`, as it is. */
  readonly rest: readonly string[];
  readonly flags: FlagValues<F>;
  readonly terminal: Terminal;
}

/** Lets the types of the flags reach `run`. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command<F> {
  return command;
}

/** Flags that mean the same wherever they are taken. */
export const appFlag = {
  kind: "text",
  value: "FILE",
  describe: 'the app file; default: app.ts, src/app.ts, app.js, or "plinth": { "app": … } in package.json',
} as const;
export const jsonFlag = { kind: "switch", describe: "data for programs instead of text for people" } as const;
