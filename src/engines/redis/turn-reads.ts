import type { RedisConnection } from "./connection.ts";
import { getManyScript } from "./scripts.ts";

/** Keys in one run at most: a server does nothing else while a script runs, and a value may have a megabyte. */
const keysPerRunMax = 32;

/**
 * Reads that are asked for in the same turn of the event loop go to the server as one: a run of the script costs both sides
 * as much as the reading of several keys. Nothing waits for others to come: a turn ends when nothing is left to do at once.
 * Who shares a run shares its failure.
 */
export class TurnReads {
  readonly #connection: Pick<RedisConnection, "evaluate">;
  /** Those that are not on their way yet, by the name that their keys begin with. */
  readonly #open = new Map<string, Run>();

  constructor(connection: Pick<RedisConnection, "evaluate">) {
    this.#connection = connection;
  }

  /** What the script says of each key, in order. `name` keeps the keys in one slot. */
  async read(name: string, keys: readonly string[]): Promise<readonly unknown[]> {
    const known = this.#open.get(name);
    const run = known && known.keys.length + keys.length <= keysPerRunMax ? known : this.#begin(name);
    const from = run.keys.length;
    for (const key of keys) run.keys.push(`${name}v:${key}`);
    const replies = await run.replies;
    return replies.length === keys.length ? replies : replies.slice(from, from + keys.length);
  }

  #begin(name: string): Run {
    const keys: string[] = [];
    const replies = new Promise<readonly unknown[]>((resolve, reject) => {
      process.nextTick(() => {
        if (this.#open.get(name) === run) this.#open.delete(name);
        this.#connection
          .evaluate(getManyScript, keys, [`${name}t:`])
          .then((reply) => resolve(reply as readonly unknown[]), reject);
      });
    });
    const run: Run = { keys, replies };
    this.#open.set(name, run);
    return run;
  }
}

interface Run {
  readonly keys: string[];
  readonly replies: Promise<readonly unknown[]>;
}
