import type { Outcome } from "../history.ts";
import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export interface PlacementOptions {
  /** What was written, by primary key. */
  readonly writes: readonly { readonly key: string; readonly outcome: Outcome }[];
  /** By shard, the primary keys that are on it, those of its staging tables left out. */
  readonly shards: Readonly<Record<string, readonly string[]>>;
  /** Where a key belongs, by the map that holds now. */
  readonly homeOf?: (key: string) => string;
}

/**
 * Each primary key is on exactly one shard, the right one, and none is lost. Findings: `lost`, `twice`, `misplaced`,
 * `unexpected`, `phantom`.
 */
export function checkPlacement({ writes, shards, homeOf }: PlacementOptions): Verdict {
  const verdict = createVerdict("placement");
  const places = new Map<string, string[]>();
  for (const [shard, keys] of Object.entries(shards)) {
    for (const key of keys) {
      const at = places.get(key);
      if (at) at.push(shard);
      else places.set(key, [shard]);
    }
  }
  const outcomes = new Map<string, Set<Outcome>>();
  for (const { key, outcome } of writes) outcomes.set(key, (outcomes.get(key) ?? new Set()).add(outcome));
  for (const [key, told] of outcomes) {
    if (told.has("ok") && !places.has(key))
      verdict.find("lost", key, "its write was acknowledged, and no shard has it");
    if (!told.has("ok") && !told.has("unknown") && places.has(key))
      verdict.find("phantom", key, "its write failed, and a shard has it");
  }
  for (const [key, at] of places) {
    if (at.length > 1) verdict.find("twice", key, `it is on ${at.join(" and on ")}`);
    if (!outcomes.has(key)) verdict.find("unexpected", key, `it is on ${at.join(", ")}, and nobody wrote it`);
    const home = homeOf?.(key);
    if (home !== undefined && !at.includes(home))
      verdict.find("misplaced", key, `it is on ${at.join(", ")}, not on ${home}`);
  }
  verdict.count("keys", places.size);
  verdict.count("shards", Object.keys(shards).length);
  if (![...outcomes.values()].some((told) => told.has("ok"))) verdict.doubt("nothing was acknowledged");
  return verdict.end();
}
