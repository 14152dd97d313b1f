import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export type OrderOptions = OrderEffects & (Published | { readonly published?: undefined });

export interface OrderEffects {
  /** The effects of each subscription in the order in which they were committed, repeats that the inbox let go left out. */
  readonly effects: readonly SequencedEffect[];
  /** The first sequence of a key. Default 1. */
  readonly first?: number;
}

export interface Published {
  /** By key, the last sequence that was published: all up to it must be there, in each subscription, and none beyond it. */
  readonly published: Readonly<Record<string, number>>;
  /** Who should have got it: one that saw nothing at all is not among the effects. Whoever else saw something should too. */
  readonly subscriptions: readonly string[];
}

export interface SequencedEffect {
  readonly subscription: string;
  readonly key: string;
  readonly sequence: number;
}

/**
 * Events of one key take effect in their order, each once, none left out. Findings: `gap`, `reordered`, `repeated`,
 * `missing` (published, and never seen), `unpublished` (before the first, or beyond the last that was published).
 */
export function checkOrder(options: OrderOptions): Verdict {
  const { effects, first = 1 } = options;
  const published = options.published && new Map(Object.entries(options.published));
  const expected = options.published ? options.subscriptions : [];
  const verdict = createVerdict("order");
  const lines = new Map<string, { seen: Set<number>; highest: number }>();
  const lineOf = (subscription: string, key: string): { seen: Set<number>; highest: number } => {
    const name = JSON.stringify([subscription, key]);
    const line = lines.get(name) ?? { seen: new Set<number>(), highest: first - 1 };
    lines.set(name, line);
    return line;
  };
  for (const { subscription, key, sequence } of effects) {
    const line = lineOf(subscription, key);
    const subject = `${subscription} ${key}`;
    if (sequence < first || (published && sequence > (published.get(key) ?? first - 1)))
      verdict.find("unpublished", subject, `${sequence} took effect, and was never published`);
    if (line.seen.has(sequence)) verdict.find("repeated", subject, `${sequence} took effect again`);
    else if (sequence < line.highest) verdict.find("reordered", subject, `${sequence} came after ${line.highest}`);
    else if (sequence > line.highest + 1) verdict.find("gap", subject, `${sequence} came after ${line.highest}`);
    line.seen.add(sequence);
    line.highest = Math.max(line.highest, sequence);
  }
  const named = new Set([...expected, ...effects.map(({ subscription }) => subscription)]);
  for (const [key, last] of published ?? []) {
    for (const subscription of named) {
      const { seen } = lineOf(subscription, key);
      for (let sequence = first; sequence <= last; sequence++) {
        if (!seen.has(sequence)) verdict.find("missing", `${subscription} ${key}`, `${sequence} never took effect`);
      }
    }
  }
  verdict.count("effects", effects.length);
  verdict.count("keys", lines.size);
  if (effects.length === 0) verdict.doubt("nothing took effect");
  if (published && expected.length === 0) verdict.doubt("no subscription was named");
  return verdict.end();
}
