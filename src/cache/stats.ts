/** What a cache did since it was made. Plain numbers, to be read when metrics are collected. */
export interface CacheStats {
  /** Reads that found a value. */
  hitCount: number;
  /** Those of them that found it in this process. */
  nearHitCount: number;
  /** Reads that found none, those that the engine failed included. */
  missCount: number;
  /** Calls that shared another one's load or lookup. */
  joinCount: number;
  /** Misses that waited for the load of another process. */
  waitCount: number;
  loadCount: number;
  loadErrorCount: number;
  /** Loads refused to protect what is loaded from: too many at once or in a second. */
  refusedLoadCount: number;
  /** Loaded, but not stored: invalidated while it was loading, or a newer version is known. */
  staleLoadCount: number;
  /** Answered with what was no longer fresh, while it was loaded anew. */
  staleHitCount: number;
  /** Answered with what was no longer fresh, because loading failed. */
  staleErrorCount: number;
  /** Not stored: larger than `valueMax`. */
  oversizeCount: number;
  /** Entries that could not be unpacked, and were removed. */
  corruptCount: number;
  /** Operations that the engine failed, or that were not tried because it had failed too often. */
  errorCount: number;
  /** Hits compared with the truth. */
  sampleCount: number;
  /** Samples that could not be decided, since the truth could not be loaded. */
  sampleErrorCount: number;
  /** Those that still differed after 5 s, by the age of the entry when it was served. */
  readonly mismatchCounts: Record<AgeBucket, number>;
}

/** Upper bounds of the age of an entry. */
export type AgeBucket = "1s" | "10s" | "1m" | "10m" | "older";

export function createStats(): CacheStats {
  return {
    hitCount: 0,
    nearHitCount: 0,
    missCount: 0,
    joinCount: 0,
    waitCount: 0,
    loadCount: 0,
    loadErrorCount: 0,
    refusedLoadCount: 0,
    staleLoadCount: 0,
    staleHitCount: 0,
    staleErrorCount: 0,
    oversizeCount: 0,
    corruptCount: 0,
    errorCount: 0,
    sampleCount: 0,
    sampleErrorCount: 0,
    mismatchCounts: { "1s": 0, "10s": 0, "1m": 0, "10m": 0, older: 0 },
  };
}

export function ageBucketOf(ageMs: number): AgeBucket {
  if (ageMs < 1000) return "1s";
  if (ageMs < 10_000) return "10s";
  if (ageMs < 60_000) return "1m";
  return ageMs < 600_000 ? "10m" : "older";
}
