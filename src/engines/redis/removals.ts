import type { Clock, Random } from "../../base/index.ts";
import { newId, systemClock, systemRandom } from "../../base/index.ts";
import type { CacheRemoved, CacheWatcher } from "../../cache/index.ts";
import type { TimeLimit } from "../../resilience/index.ts";
import { createTimeLimit } from "../../resilience/index.ts";
import type { RedisConnection } from "./connection.ts";
import type { Client } from "./link.ts";

export interface RemovalsOptions {
  readonly connection: RedisConnection;
  readonly prefix: string;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/**
 * What was removed, told by one process to all others, through the server: client-side invalidation.
 *
 * The script that removes also publishes, so who hears of it and then reads finds it removed. A connection of its own
 * listens. It is taken for good only while probes come back: every half second one is published on the connection of
 * the commands, to a channel of this process alone, and must be heard within a second. So a connection that is half open,
 * a user who may not publish, and a server that stopped are all noticed, within 1.5 s. Then the watchers are told that
 * messages may be lost, and a new connection is made after a random wait of up to 2 s. One that falls silent while it is
 * being made is given up as well: after 2 s before it is greeted, after 1 s when it subscribes.
 *
 * Why not the server's own tracking (CLIENT TRACKING): it tells of keys, and an entry depends on many, of which some are
 * written at each fill; a tier that drops what was just made is of no use. Publishing names what was removed, needs no
 * RESP3, and is the same for one server, behind sentinels and in a cluster. In a cluster messages travel between nodes: a
 * node cut off from the others is not noticed by the probe, and the time to live of a copy bounds the lie.
 */
export class Removals {
  readonly #connection: RedisConnection;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limit: TimeLimit;
  readonly #channel: string;
  readonly #ownChannel: string;
  readonly #id = newId();
  readonly #watchers = new Set<CacheWatcher>();
  readonly #echoes = new Map<string, () => void>();
  #isOpen = false;
  #isRunning = false;
  #isWatching = false;
  #client: Client | undefined;
  #stopWaiting: (() => void) | undefined;

  constructor({ connection, prefix, clock = systemClock, random = systemRandom }: RemovalsOptions) {
    this.#connection = connection;
    this.#clock = clock;
    this.#random = random;
    this.#limit = createTimeLimit({ name: "The feed of removals", limit: subscribeMsMax, clock });
    this.#channel = `${prefix}:removed`;
    this.#ownChannel = `${prefix}:probe:${this.#id}`;
  }

  /** Channel and text. What is too long to name is told as everything. */
  toMessage(removed: CacheRemoved): [string, string] {
    const from = this.#id;
    const text = JSON.stringify({ from, ...removed });
    if (text.length <= messageLengthMax) return [this.#channel, text];
    return [this.#channel, JSON.stringify({ from, kind: "all", namespace: removed.namespace })];
  }

  watch(watcher: CacheWatcher): () => void {
    this.#watchers.add(watcher);
    if (this.#isWatching) watcher.onWatching();
    this.#begin();
    return () => this.#watchers.delete(watcher);
  }

  open(): void {
    this.#isOpen = true;
    this.#begin();
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#stopWaiting?.();
    this.#client?.destroy();
    this.#lose();
  }

  #begin(): void {
    if (!this.#isOpen || this.#isRunning || this.#watchers.size === 0) return;
    this.#isRunning = true;
    void this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    for (let turn = 0; this.#isOpen; turn++) {
      try {
        await this.#listen(turn);
      } catch {
        // It is made again. The log hears of a server that is gone from the commands.
      }
      this.#lose();
      this.#client?.destroy();
      this.#client = undefined;
      if (this.#isOpen) await this.#wait(reconnectMsMin + this.#random.next() * (reconnectMsMax - reconnectMsMin));
    }
    this.#isRunning = false;
    this.#begin();
  }

  /** Until the connection is no longer to be trusted. */
  async #listen(turn: number): Promise<void> {
    const client = await this.#connection.connectListener(turn);
    this.#client = client;
    if (!this.#isOpen) return;
    let isLost = false;
    const lose = () => {
      isLost = true;
      this.#lose();
      this.#stopWaiting?.();
    };
    client.on("error", lose);
    client.on("end", lose);
    await this.#limit(
      client.subscribe([this.#channel, this.#ownChannel], (text, channel) => this.#hear(text, channel)),
    );
    while (!isLost && this.#isOpen && (await this.#probe())) {
      if (isLost || !this.#isOpen) return;
      if (!this.#isWatching) {
        this.#isWatching = true;
        for (const watcher of this.#watchers) watcher.onWatching();
      }
      await this.#wait(probeEveryMs);
    }
  }

  async #probe(): Promise<boolean> {
    const token = newId();
    return new Promise((resolve) => {
      const answer = (isHeard: boolean) => {
        this.#echoes.delete(token);
        stop();
        resolve(isHeard);
      };
      const stop = this.#clock.after(probeMsMax, () => answer(false));
      this.#echoes.set(token, () => answer(true));
      this.#connection.command(["PUBLISH", this.#ownChannel, token]).catch(() => answer(false));
    });
  }

  #hear(text: string, channel: string): void {
    if (channel === this.#ownChannel) {
      this.#echoes.get(text)?.();
      return;
    }
    const message = parseMessage(text);
    // This process has removed it from its own copies when the server answered.
    if (!message || message.from === this.#id) return;
    for (const watcher of this.#watchers) watcher.onRemoved(message);
  }

  #lose(): void {
    if (!this.#isWatching) return;
    this.#isWatching = false;
    for (const watcher of this.#watchers) watcher.onLost();
  }

  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const stop = this.#clock.after(ms, resolve);
      this.#stopWaiting = () => {
        stop();
        resolve();
      };
    });
    this.#stopWaiting = undefined;
  }
}

const subscribeMsMax = 1000;
const probeEveryMs = 500;
const probeMsMax = 1000;
const reconnectMsMin = 50;
const reconnectMsMax = 2000;
const messageLengthMax = 65_536;

type Message = CacheRemoved & { readonly from: string };

/** Undefined: nobody of ours has sent this. */
function parseMessage(text: string): Message | undefined {
  try {
    const message = JSON.parse(text) as Message;
    return typeof message.namespace === "string" && typeof message.kind === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}
