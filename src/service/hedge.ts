import { parseDuration } from "../base/index.ts";
import type { AnyMethod } from "./method.ts";

const afterMsMax = 60_000;

/** After how long callers in other processes ask a second time. */
export function compileHedge(
  definition: AnyMethod,
  id: string,
  isIdempotent: boolean,
  problems: string[],
): number | undefined {
  const declared = definition.kind === "unary" ? definition.options.hedge : undefined;
  if (!declared) return undefined;
  const afterMs = parseDuration(declared.after);
  if (afterMs === undefined || afterMs < 1 || afterMs > afterMsMax) {
    problems.push(
      `${id}: hedge.after: ${JSON.stringify(declared.after)} cannot be; give "1ms" to "1m", such as "50ms".`,
    );
  }
  if (!isIdempotent) {
    problems.push(
      `${id}: hedge: the second try may run beside the first, which only a method that is as good twice as once can bear; declare idempotent: true, or leave it out.`,
    );
  }
  return afterMs;
}
