/** One request, sent over and over. */
export interface LoadRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LoadOptions {
  readonly request: LoadRequest;
  readonly connections: number;
  readonly seconds: number;
  readonly core: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were no 2xx, and connections that failed. */
  readonly failures: number;
}
