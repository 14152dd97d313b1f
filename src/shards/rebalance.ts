import { StartError } from "../base/index.ts";
import type { BucketRow } from "./bucket-map.ts";

/** Buckets that would go from shard to shard. */
export interface PlannedMove {
  readonly from: string;
  readonly to: string;
  readonly buckets: readonly number[];
}

/**
 * The fewest moves after which no two of `shards` differ by more than one bucket: who has too many gives the last ones to
 * who has too few. Shards that are `leaving` give away all they have; one that has buckets and is named nowhere is
 * SHARD_MISSING: a forgotten address must not empty a shard.
 */
export function planRebalance(
  rows: readonly BucketRow[],
  shards: readonly string[],
  leaving: readonly string[] = [],
): readonly PlannedMove[] {
  const missing = new Set(rows.map(({ shard }) => shard).filter((name) => ![...shards, ...leaving].includes(name)));
  if (missing.size > 0) {
    const list = [...missing].join(", ");
    throw new StartError(
      "SHARD_MISSING",
      `there are buckets on ${list}, and no address for it: name it in DATABASE_SHARDS`,
    );
  }
  const held = new Map<string, number[]>(shards.map((shard) => [shard, []]));
  for (const { shard, bucket } of rows) held.set(shard, [...(held.get(shard) ?? []), bucket]);
  // Who has most keeps the odd ones, so that nothing moves without need.
  const byCount = [...shards].sort((a, b) => (held.get(b) as number[]).length - (held.get(a) as number[]).length);
  const share = new Map<string, number>();
  byCount.forEach((shard, i) => {
    share.set(shard, Math.floor(rows.length / shards.length) + (i < rows.length % shards.length ? 1 : 0));
  });
  const spare: { readonly from: string; readonly bucket: number }[] = [];
  for (const [from, buckets] of held) {
    for (const bucket of buckets.slice(share.get(from) ?? 0)) spare.push({ from, bucket });
  }
  const moves = new Map<string, { from: string; to: string; buckets: number[] }>();
  for (const to of shards) {
    const lacking = (share.get(to) as number) - (held.get(to) as number[]).length;
    for (const { from, bucket } of spare.splice(0, Math.max(0, lacking))) {
      const known = moves.get(`${from} ${to}`) ?? { from, to, buckets: [] };
      known.buckets.push(bucket);
      moves.set(`${from} ${to}`, known);
    }
  }
  return [...moves.values()];
}
