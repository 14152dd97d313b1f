import type { Random } from "../../base/index.ts";
import { assert, StartError, systemRandom } from "../../base/index.ts";
import type {
  CacheDriver,
  CacheFound,
  CacheLeaseOptions,
  CacheLookup,
  CacheRemoval,
  CacheRemoved,
  CacheWatcher,
  CacheWrite,
} from "../../cache/index.ts";
import { holdMs, leaseMs, tombstoneMs } from "../../cache/index.ts";
import type { RedisConnection } from "./connection.ts";
import { replyOf } from "./connection.ts";
import type { Removals } from "./removals.ts";
import {
  deleteScript,
  getOrLeaseScript,
  invalidateScript,
  isCurrentScript,
  releaseScript,
  setScript,
} from "./scripts.ts";
import { TurnReads } from "./turn-reads.ts";

/** The name of the tag that every entry has, and `clear` removes. No tag of a caller is empty. */
const namespaceTag = "";
const probeNamespace = "plinth";

export interface RedisCacheOptions {
  readonly connection: RedisConnection;
  /** The feed of removals. Undefined: not offered. */
  readonly removals?: Removals | undefined;
  readonly prefix: string;
  /** Into how many slots of a cluster each namespace is spread. Default 1. */
  readonly spread?: number;
  readonly random?: Random | undefined;
}

/**
 * The cache driver. Every operation is one round trip; one for each slot where a namespace is spread over several. Reads of
 * the same turn share theirs (`turn-reads.ts`).
 *
 * Keys are `prefix:{namespace}:` and then `v:` and the key for an entry, `l:` for its lease, `x:` for its tombstone; `t:`
 * and the tag for a generation, `m:` for the mark of a fresh invalidation. What the caller named comes last, so nothing in
 * it can be taken for another part; the braces keep a namespace in one slot of a cluster, or a part of it, `{namespace/1}`.
 */
export class RedisCache implements CacheDriver {
  readonly name = "redis";
  readonly flags = { shared: true, persistent: true };
  readonly watch?: (watcher: CacheWatcher) => () => void;

  readonly #connection: RedisConnection;
  readonly #reads: TurnReads;
  readonly #removals: Removals | undefined;
  readonly #prefix: string;
  readonly #spread: number;
  readonly #random: Random;
  readonly #names = new Map<string, readonly string[]>();
  readonly #nonceBytes = new Uint8Array(12);

  constructor(options: RedisCacheOptions) {
    this.#connection = options.connection;
    this.#reads = new TurnReads(options.connection);
    this.#removals = options.removals;
    this.#prefix = options.prefix;
    this.#spread = options.spread ?? 1;
    this.#random = options.random ?? systemRandom;
    const { removals } = options;
    if (removals) this.watch = (watcher) => removals.watch(watcher);
  }

  /**
   * Does once what will be done later, because a user who may connect may still not be allowed to. A server that is full
   * or busy lets the start pass: it makes misses until it is better.
   */
  async open(): Promise<void> {
    await this.#connection.open();
    try {
      const { fence } = await this.getOrLease(probeNamespace, "probe", []);
      await this.set(probeNamespace, "probe", "", { ttlMs: 1, tags: [], fence });
      await this.delete(probeNamespace, ["probe"]);
    } catch (thrown) {
      const reply = replyOf(thrown);
      if (/NOPERM|READONLY|ERR /.test(reply)) {
        await this.#connection.close();
        throw new StartError(
          "REDIS_COMMANDS_REFUSED",
          `redis: the server does not do what a cache needs (${reply}). Connect to a primary, as a user with ACL rules ~${this.#prefix}:* &${this.#prefix}:* +@hash +@string +@keyspace +@scripting +@pubsub`,
        );
      }
    }
    this.#removals?.open();
  }

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (CacheFound | undefined)[]> {
    const [only, ...others] = keys;
    if (only !== undefined && others.length === 0) {
      const [reply] = await this.#reads.read(this.#nameOf(namespace, only), keys);
      return [toFresh(reply as FoundReply | null)];
    }
    const found: (CacheFound | undefined)[] = [];
    const reads = this.#parts(namespace, keys).map(async ({ name, indexes }) => {
      const replies = await this.#reads.read(
        name,
        indexes.map((index) => keys[index] as string),
      );
      for (const [at, index] of indexes.entries()) found[index] = toFresh(replies[at] as FoundReply | null);
    });
    await Promise.all(reads);
    return found;
  }

  async getOrLease(
    namespace: string,
    key: string,
    tags: readonly string[],
    { insist = false }: CacheLeaseOptions = {},
  ): Promise<CacheLookup> {
    const name = this.#nameOf(namespace, key);
    const holder = this.#nonce();
    let reply: LeaseReply;
    try {
      reply = (await this.#connection.evaluate(getOrLeaseScript, keysOf(name, key), [
        `${name}t:`,
        `${name}m:`,
        holder,
        String(leaseMs),
        String(holdMs),
        insist ? "1" : "",
        namespaceTag,
        ...tags,
      ])) as LeaseReply;
    } catch (thrown) {
      // No room for a lease: nothing can be stored, but what is there can still be read.
      if (!replyOf(thrown).includes("OOM ")) throw thrown;
      return { found: undefined, fence: undefined, isBusy: false, primary: true };
    }
    const [kind, entry, primary, token, ...generations] = reply;
    const found = toFound(entry);
    if (kind === 1) return { found, fence: undefined, isBusy: false, primary: false };
    if (kind === 2) return { found, fence: undefined, isBusy: true, primary: primary === 1 };
    return { found, fence: JSON.stringify([token, holder, ...generations]), isBusy: false, primary: primary === 1 };
  }

  async isCurrent(namespace: string, key: string, tags: readonly string[], fence: string): Promise<boolean> {
    const name = this.#nameOf(namespace, key);
    const [token, , ...generations] = JSON.parse(fence) as string[];
    const reply = await this.#connection.evaluate(
      isCurrentScript,
      [`${name}l:${key}`],
      [`${name}t:`, token as string, ...shown(tags, generations)],
    );
    return reply === 1;
  }

  async release(namespace: string, key: string, fence: string): Promise<void> {
    const [token, holder] = JSON.parse(fence) as [string, string];
    await this.#connection.evaluate(releaseScript, [`${this.#nameOf(namespace, key)}l:${key}`], [token, holder]);
  }

  async set(namespace: string, key: string, value: string, options: CacheWrite): Promise<boolean> {
    const { ttlMs, keepMs = 0, tags, fence, version } = options;
    const name = this.#nameOf(namespace, key);
    const [token, , ...generations] = fence === undefined ? ["", ""] : (JSON.parse(fence) as string[]);
    const staleMs = Math.ceil(keepMs);
    const removed: CacheRemoved = { kind: "keys", namespace, names: [key] };
    const reply = await this.#connection.evaluate(setScript, keysOf(name, key), [
      `${name}t:`,
      this.#nonce(),
      String(Math.ceil(ttlMs) + staleMs),
      String(staleMs),
      value,
      token as string,
      version === undefined ? "" : String(version),
      String(tombstoneMs),
      ...(fence === undefined ? this.#message(removed) : ["", ""]),
      ...shown(tags, generations),
    ]);
    return reply === 1;
  }

  async delete(namespace: string, keys: readonly string[], { version = 0 }: CacheRemoval = {}): Promise<void> {
    await Promise.all(
      this.#parts(namespace, keys).map(({ name, indexes }) => {
        const names = indexes.map((index) => keys[index] as string);
        return this.#connection.evaluate(
          deleteScript,
          names.flatMap((key) => keysOf(name, key)),
          [String(version), String(tombstoneMs), ...this.#message({ kind: "keys", namespace, names })],
        );
      }),
    );
  }

  async invalidate(namespace: string, tags: readonly string[]): Promise<void> {
    if (tags.length > 0) await this.#invalidate(tags, { kind: "tags", namespace, names: tags });
  }

  async clear(namespace: string): Promise<void> {
    await this.#invalidate([namespaceTag], { kind: "all", namespace });
  }

  async close(): Promise<void> {
    await this.#removals?.close();
    await this.#connection.close();
  }

  /** Each part of a spread namespace has its own generations. Others are told by each, when it has removed its own. */
  async #invalidate(tags: readonly string[], removed: CacheRemoved): Promise<void> {
    await Promise.all(
      this.#namesOf(removed.namespace).map((name) =>
        this.#connection.evaluate(
          invalidateScript,
          tags.flatMap((tag) => [`${name}t:${tag}`, `${name}m:${tag}`]),
          [String(tombstoneMs), ...this.#message(removed)],
        ),
      ),
    );
  }

  #message(removed: CacheRemoved): readonly string[] {
    return this.#removals?.toMessage(removed) ?? [`${this.#prefix}:removed`, ""];
  }

  /** The keys by the slot that they are in, as indexes into the list. */
  #parts(namespace: string, keys: readonly string[]): { name: string; indexes: number[] }[] {
    const parts = new Map<string, number[]>();
    for (const [index, key] of keys.entries()) {
      const name = this.#nameOf(namespace, key);
      const indexes = parts.get(name);
      if (indexes) indexes.push(index);
      else parts.set(name, [index]);
    }
    return [...parts].map(([name, indexes]) => ({ name, indexes }));
  }

  #nameOf(namespace: string, key: string): string {
    const names = this.#namesOf(namespace);
    return names[names.length === 1 ? 0 : hash(key) % names.length] as string;
  }

  #namesOf(namespace: string): readonly string[] {
    let names = this.#names.get(namespace);
    if (names === undefined) {
      assert(/^[\w.-]+$/.test(namespace), `a namespace is letters, digits, ".", "_" and "-"`);
      names = Array.from({ length: this.#spread }, (_, part) =>
        part === 0 ? `${this.#prefix}:{${namespace}}:` : `${this.#prefix}:{${namespace}/${part}}:`,
      );
      this.#names.set(namespace, names);
    }
    return names;
  }

  /** 96 random bits: a name that was never given before. */
  #nonce(): string {
    return Buffer.from(this.#random.fill(this.#nonceBytes)).toString("base64url");
  }
}

/** Value, ms left, kept ms, of them stale, tags. */
type FoundReply = readonly [string, number, number, number, readonly string[]];
type LeaseReply = readonly [number, FoundReply | null, number, string, ...string[]];

function toFound(reply: FoundReply | null | undefined): CacheFound | undefined {
  if (!reply) return undefined;
  const [value, leftMs, keptMs, staleMs, tags] = reply;
  return { value, freshMs: leftMs - staleMs, ageMs: Math.max(0, keptMs - leftMs), tags };
}

function toFresh(reply: FoundReply | null): CacheFound | undefined {
  const found = toFound(reply);
  return found && found.freshMs > 0 ? found : undefined;
}

/** Each tag with the generation that a fence holds of it. */
function shown(tags: readonly string[], generations: readonly string[]): string[] {
  return [namespaceTag, ...tags].flatMap((tag, index) => [tag, generations[index] ?? ""]);
}

function keysOf(name: string, key: string): [string, string, string] {
  return [`${name}v:${key}`, `${name}l:${key}`, `${name}x:${key}`];
}

/** FNV-1a over UTF-16 units: the same in every process. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return sum >>> 0;
}
