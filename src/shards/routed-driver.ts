import type { AcquireOptions, DatabaseDriver, DatabaseFlags, DatabaseStats, Session } from "../database/index.ts";
import { RoutedSession } from "./routed-session.ts";
import type { Router } from "./router.ts";

/**
 * The database port, for one key: sessions of whichever shard has it. The shards' own drivers are opened and closed by
 * whoever made them, so `open` and `close` do nothing here.
 */
export class RoutedDriver implements DatabaseDriver {
  readonly #router: Router;
  readonly #model: DatabaseDriver;
  readonly #key: string;
  readonly #bucket: number;

  /** `model` is any of the shards: they are of one engine. */
  constructor(router: Router, model: DatabaseDriver, key: string, bucket: number) {
    this.#router = router;
    this.#model = model;
    this.#key = key;
    this.#bucket = bucket;
  }

  get name(): string {
    return this.#model.name;
  }
  get flags(): DatabaseFlags {
    return this.#model.flags;
  }
  get stats(): DatabaseStats {
    return this.#model.stats;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  async acquire(options: AcquireOptions): Promise<Session> {
    const session = new RoutedSession(this.#router, this.#key, this.#bucket, options);
    await session.enter();
    return session;
  }
}
