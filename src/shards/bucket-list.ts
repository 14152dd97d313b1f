import { StartError } from "../base/index.ts";
import { bucketCount } from "./bucket.ts";

/** "0-511,700": the numbers of buckets, in order. */
export function parseBuckets(text: string): readonly number[] {
  const found = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last] = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part) ?? [];
    if (first === undefined || Number(last ?? first) < Number(first) || Number(last ?? first) > bucketCount - 1)
      throw new StartError("SHARD_BUCKETS", `--buckets ${text}: write numbers from 0 to 1023, such as 0-511,700`);
    for (let bucket = Number(first); bucket <= Number(last ?? first); bucket++) found.add(bucket);
  }
  return [...found].sort((a, b) => a - b);
}

/** The other way round, as short as it can be said. */
export function showBuckets(buckets: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < buckets.length; i++) {
    const first = buckets[i] as number;
    while (buckets[i + 1] === (buckets[i] as number) + 1) i++;
    parts.push(buckets[i] === first ? String(first) : `${first}-${buckets[i]}`);
  }
  return parts.join(",");
}
