import { PlinthError, StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodeOf } from "../lifecycle/index.ts";
import type { Screen } from "./terminal.ts";

/**
 * Says what ended a command, and answers its exit code: 2 for a wrong command line, app or setting, whose problems come
 * one to a line, each with its remedy; 1 for everything else.
 */
export function tellFailure(thrown: unknown, screen: Screen): ExitCode {
  for (const line of linesOf(thrown)) screen.write(`${screen.style("red", "error:")} ${line}\n`);
  return exitCodeOf(thrown);
}

function linesOf(thrown: unknown): readonly string[] {
  if (thrown instanceof StartError) return thrown.problems;
  if (thrown instanceof PlinthError) return [textOf(thrown)];
  // Nobody foresaw it, so whoever looks into it needs to know where it came from.
  return [thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)];
}

/** "There is no such product. (not_found PRODUCT_UNKNOWN)", with what broke a rule, and the cause where we know one. */
export function textOf(error: PlinthError): string {
  const code = error.reason === error.code.toUpperCase() ? error.code : `${error.code} ${error.reason}`;
  const violations = Array.isArray(error.details?.violations) ? error.details.violations : [];
  // The message tells the first one already. What a service's own answer broke is told to nobody but its developer.
  const broken = (error.detail as { violations?: unknown } | undefined)?.violations;
  const untold = [...violations.slice(1), ...(Array.isArray(broken) ? broken : [])];
  const lines = untold.map(({ pointer, message }: { pointer: string; message: string }) => {
    return `  ${pointer === "" ? "(the whole)" : pointer} ${message}`;
  });
  const cause = error.cause instanceof Error && error.cause.message !== "" ? [`  because: ${error.cause.message}`] : [];
  return [`${error.message} (${code})`, ...lines, ...cause].join("\n");
}
