/** What a cache did since it was made. Plain numbers, to be read when metrics are collected. */
export interface CacheStats {
  /** Reads that found a value. */
  hitCount: number;
  /** Reads that found none, those that the engine failed included. */
  missCount: number;
  /** Calls that shared another one's load or lookup. */
  joinCount: number;
  loadCount: number;
  loadErrorCount: number;
  /** Loaded, but not stored: invalidated while it was loading. */
  staleLoadCount: number;
  /** Not stored: larger than `valueMax`. */
  oversizeCount: number;
  /** Operations that the engine failed, or that were not tried because it had failed too often. */
  errorCount: number;
}

export function createStats(): CacheStats {
  return {
    hitCount: 0,
    missCount: 0,
    joinCount: 0,
    loadCount: 0,
    loadErrorCount: 0,
    staleLoadCount: 0,
    oversizeCount: 0,
    errorCount: 0,
  };
}
