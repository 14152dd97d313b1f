/**
 * What `scripts/test.ts` reads from each test process: one JSON line for each test that ended, `idle` whenever no test
 * is left that was begun, and `end` when the process comes to its natural end. A file without that line died on the way.
 */

import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

export interface Ended {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly why: string | undefined;
}

export const busyLine = '{"idle":false}\n';
export const idleLine = '{"idle":true}\n';
export const endLine = '{"end":true}\n';

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  let open = 0;
  for await (const event of events) {
    if (event.type === "test:enqueue" && event.data.nesting === 0 && open++ === 0) yield busyLine;
    if (event.type === "test:complete" && event.data.nesting === 0 && --open === 0) yield idleLine;
    if (event.type === "test:start") names[event.data.nesting] = event.data.name;
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { data } = event;
    const failed = event.type === "test:fail" && data.todo === undefined;
    // A suite says nothing of its own, unless it was skipped as a whole: then its tests are never heard of.
    if (data.details.type === "suite" && !failed && data.skip === undefined) continue;
    const error = event.type === "test:fail" ? event.data.details.error : undefined;
    if (isOnlyAboutInner(error)) continue;
    const skipped = data.skip !== undefined || data.todo !== undefined;
    const reason = typeof data.skip === "string" ? data.skip : typeof data.todo === "string" ? data.todo : undefined;
    const ended: Ended = {
      name: [...names.slice(0, data.nesting), data.name].join(" > "),
      outcome: failed ? "failed" : skipped ? "skipped" : "passed",
      why: failed ? explain(error) : reason,
    };
    yield `${JSON.stringify(ended)}\n`;
  }
  yield endLine;
}

/** The error of a test or suite whose own body was fine. The inner tests have been reported already. */
function isOnlyAboutInner(error: unknown): boolean {
  return (error as { failureType?: string } | undefined)?.failureType === "subtestsFailed";
}

function explain(error: Error | undefined): string {
  const cause = error?.cause ?? error;
  if (!(cause instanceof Error)) return inspect(cause);
  const stack = (cause.stack ?? "").split("\n").filter((line) => !/node:internal|node:async_hooks/.test(line));
  return stack.length > 1 ? stack.slice(0, 30).join("\n") : inspect(cause);
}
