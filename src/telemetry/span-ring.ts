import type { Attributes, LocalSpan, SpanData, SpanLink, SpanStatus } from "./span.ts";
import { spanKinds } from "./span.ts";
import { hexWord } from "./trace-context.ts";

/**
 * The last `capacity` finished spans. Numbers stand in arrays made once; text is made when somebody reads. The oldest
 * is overwritten; one that was overwritten before it was taken counts as lost.
 */
export interface SpanRing {
  add(span: LocalSpan, status: SpanStatus, durationMs: number): void;
  /** All that are held, oldest first. `epochMs` is what to add to the monotonic start. */
  list(epochMs: number): SpanData[];
  /** Up to `countMax` of those not yet taken, oldest first. */
  take(epochMs: number, countMax: number): SpanData[];
  readonly untakenCount: number;
  readonly lostCount: number;
}

const wordsPerSpan = 8;
const noAttributes: Attributes = Object.freeze({});
const noLinks: readonly SpanLink[] = Object.freeze([]);

export function createSpanRing(capacity: number): SpanRing {
  const words = new Int32Array(capacity * wordsPerSpan);
  const times = new Float64Array(capacity * 2);
  const kinds = new Uint8Array(capacity);
  const failed = new Uint8Array(capacity);
  const names: string[] = new Array(capacity).fill("");
  const tracestates: (string | undefined)[] = new Array(capacity).fill(undefined);
  const attributes: (Attributes | undefined)[] = new Array(capacity).fill(undefined);
  const links: (readonly SpanLink[] | undefined)[] = new Array(capacity).fill(undefined);
  let addedCount = 0;
  let takenCount = 0;
  let lostCount = 0;

  const word = (slot: number, index: number): number => words[slot * wordsPerSpan + index] as number;

  const read = (slot: number, epochMs: number): SpanData => ({
    traceId: hexWord(word(slot, 0)) + hexWord(word(slot, 1)) + hexWord(word(slot, 2)) + hexWord(word(slot, 3)),
    spanId: hexWord(word(slot, 4)) + hexWord(word(slot, 5)),
    parentSpanId:
      word(slot, 6) === 0 && word(slot, 7) === 0 ? undefined : hexWord(word(slot, 6)) + hexWord(word(slot, 7)),
    tracestate: tracestates[slot],
    name: names[slot] as string,
    kind: spanKinds[kinds[slot] as number] ?? "internal",
    startMs: (times[slot * 2] as number) + epochMs,
    durationMs: times[slot * 2 + 1] as number,
    status: failed[slot] === 1 ? "error" : "ok",
    attributes: attributes[slot] ?? noAttributes,
    links: links[slot] ?? noLinks,
  });

  return {
    get untakenCount() {
      return addedCount - takenCount;
    },
    get lostCount() {
      return lostCount;
    },
    add(span, status, durationMs) {
      const slot = addedCount % capacity;
      const at = slot * wordsPerSpan;
      words[at] = span.trace0;
      words[at + 1] = span.trace1;
      words[at + 2] = span.trace2;
      words[at + 3] = span.trace3;
      words[at + 4] = span.span0;
      words[at + 5] = span.span1;
      words[at + 6] = span.parent0;
      words[at + 7] = span.parent1;
      times[slot * 2] = span.startedAt;
      times[slot * 2 + 1] = durationMs;
      kinds[slot] = span.kind;
      failed[slot] = status === "error" ? 1 : 0;
      names[slot] = span.name;
      tracestates[slot] = span.tracestate;
      attributes[slot] = span.attributes;
      links[slot] = span.links;
      addedCount++;
      if (addedCount - takenCount > capacity) {
        takenCount++;
        lostCount++;
      }
    },
    list(epochMs) {
      const spans: SpanData[] = [];
      for (let i = Math.max(0, addedCount - capacity); i < addedCount; i++) spans.push(read(i % capacity, epochMs));
      return spans;
    },
    take(epochMs, countMax) {
      const spans: SpanData[] = [];
      while (takenCount < addedCount && spans.length < countMax) spans.push(read(takenCount++ % capacity, epochMs));
      return spans;
    },
  };
}
