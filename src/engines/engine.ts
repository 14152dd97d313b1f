import type { Clock, Random } from "../base/index.ts";
import type { CacheDriver } from "../cache/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import type { Broker } from "../events/index.ts";
import type { LimitDriver } from "../limits/index.ts";

/**
 * What `engines/<product>/index.ts` exports by default: an outside product, and a driver for each port it serves.
 *
 * Making a driver connects to nothing and loads no client: `open` does. A URL that the engine cannot honour is a
 * StartError at once, which names the part and the remedy; the password is never in it. Nothing else is edited when an
 * engine is added: `npm run gen` lists the folders.
 */
export interface Engine {
  /** The folder's name. */
  readonly name: string;
  /** URL schemes without the colon: "postgres", "postgresql". No two engines share one. */
  readonly schemes: readonly string[];
  /** The npm package with its client, loaded when a driver opens. Absent: none is needed. */
  readonly package?: string;
  readonly ports: {
    readonly database?: (url: URL, options?: EngineOptions) => DatabaseDriver;
    readonly cache?: (url: URL, options?: EngineOptions) => CacheDriver;
    readonly limiter?: (url: URL, options?: EngineOptions) => LimitDriver;
    readonly broker?: (url: URL, options?: EngineOptions) => Broker;
  };
}

/** What the app tells every driver. Options of one product alone belong into its URL. */
export interface EngineOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How the process calls itself to the server: "shop/orders". */
  readonly applicationName?: string;
}
