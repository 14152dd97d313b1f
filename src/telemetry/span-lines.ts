import type { Clock } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { TextDestination } from "./destination.ts";
import { safeLine } from "./line.ts";
import { createLineWriter } from "./line-writer.ts";
import type { Redactor } from "./redactor.ts";
import type { SpanExporter } from "./tracer.ts";

/** Writes each span as one line of JSON: to a file for later, or to a pipe. What the reader does not take is dropped. */
export function createSpanLines(options: {
  readonly destination: TextDestination;
  readonly service?: string;
  readonly redactor?: Redactor;
  readonly clock?: Clock;
}): SpanExporter & { readonly droppedCount: number } {
  const { redactor, service } = options;
  const writer = createLineWriter({ destination: options.destination, clock: options.clock ?? systemClock });
  return {
    get droppedCount() {
      return writer.droppedCount;
    },
    export(spans) {
      for (const span of spans) {
        const line = `${JSON.stringify(service === undefined ? span : { service, ...span })}\n`;
        writer.write(safeLine(redactor ? redactor.line(line) : line));
      }
      return writer.flush();
    },
    close: () => writer.close(),
  };
}
