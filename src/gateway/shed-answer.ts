import type { Overload } from "../resilience/index.ts";
import { overloaded } from "../resilience/index.ts";
import { httpPhrase, stringifyProblem, toProblem } from "../wire/index.ts";

/** What a request is answered with that there is no room for: the same for all, made beforehand. */
export const shedAnswer = {
  status: 503,
  phrase: httpPhrase(503),
  body: Buffer.from(stringifyProblem(toProblem(overloaded))),
} as const;

/** Seconds, not the same for all: also where it was another process that refused. */
export function retryAfterShed(overload: Overload | undefined): string {
  return String(overload?.retryAfterSeconds() ?? 2);
}
