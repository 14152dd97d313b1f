import type { Duration } from "../base/index.ts";

/** What a method says of calling it twice. */
export type Idempotent = boolean | "keyed" | Keyed;

/** It takes idempotency keys: see `idempotency.ts`. `"keyed"` means `{ key: "optional" }`. */
export interface Keyed {
  readonly key: "optional" | "required";
  /** How long a key is remembered. 1 s to 30 days; default 24 h. */
  readonly keep?: Duration;
}
