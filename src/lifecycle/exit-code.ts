import { StartError } from "../base/index.ts";

/** 0: stopped as asked. 1: failed, or ended by force. 2: a wrong definition or setting; starting again will not help. */
export const exitCodes = { ok: 0, failed: 1, wrong: 2 } as const;
export type ExitCode = 0 | 1 | 2;

/** The exit code for an error that ended the start. */
export function exitCodeOf(thrown: unknown): ExitCode {
  return thrown instanceof StartError ? exitCodes.wrong : exitCodes.failed;
}
