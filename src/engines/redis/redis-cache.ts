import type { Random } from "../../base/index.ts";
import { assert, StartError, systemRandom } from "../../base/index.ts";
import type { CacheDriver, CacheLookup, CacheWrite } from "../../cache/index.ts";
import { leaseMs } from "../../cache/index.ts";
import type { RedisConnection } from "./connection.ts";
import { replyOf } from "./connection.ts";
import { getManyScript, getOrLeaseScript, setScript } from "./scripts.ts";

/** The name of the tag that every entry has, and `clear` removes. No tag of a caller is empty. */
const namespaceTag = "";
const probeNamespace = "plinth";

/**
 * The cache driver. Every operation is one round trip.
 *
 * Keys are `prefix:{namespace}:` and then `v:` and the key for an entry, `l:` and the key for a lease, `t:` and the tag
 * for a generation. What the caller named comes last, so nothing in it can be taken for another part; the braces keep a
 * namespace in one slot of a cluster.
 */
export class RedisCache implements CacheDriver {
  readonly name = "redis";
  readonly flags = { shared: true, persistent: true };

  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #random: Random;
  readonly #names = new Map<string, string>();
  readonly #nonceBytes = new Uint8Array(12);

  constructor(connection: RedisConnection, prefix: string, options: { random?: Random } = {}) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#random = options.random ?? systemRandom;
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
      if (!/NOPERM|READONLY|ERR /.test(reply)) return;
      await this.#connection.close();
      throw new StartError(
        "REDIS_COMMANDS_REFUSED",
        `redis: the server does not do what a cache needs (${reply}). Connect to a primary, as a user with ACL rules ~${this.#prefix}:* +@hash +@string +@keyspace +@scripting`,
      );
    }
  }

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    if (keys.length === 0) return [];
    const name = this.#nameOf(namespace);
    const values = await this.#connection.evaluate(
      getManyScript,
      keys.map((key) => `${name}v:${key}`),
      [`${name}t:`],
    );
    return (values as (string | null)[]).map((value) => value ?? undefined);
  }

  async getOrLease(namespace: string, key: string, tags: readonly string[]): Promise<CacheLookup> {
    const name = this.#nameOf(namespace);
    const reply = (await this.#connection.evaluate(
      getOrLeaseScript,
      [`${name}v:${key}`, `${name}l:${key}`],
      [`${name}t:`, this.#nonce(), String(leaseMs), namespaceTag, ...tags],
    )) as [number, string, ...string[]];
    const [found, first, ...generations] = reply;
    if (found === 1) return { value: first, fence: undefined };
    return { value: undefined, fence: JSON.stringify([first, ...generations]) };
  }

  async set(namespace: string, key: string, value: string, { ttlMs, tags, fence }: CacheWrite): Promise<boolean> {
    const name = this.#nameOf(namespace);
    const [token, ...generations] = fence === undefined ? [""] : (JSON.parse(fence) as [string, ...string[]]);
    const allTags = [namespaceTag, ...tags];
    const reply = await this.#connection.evaluate(
      setScript,
      [`${name}v:${key}`, `${name}l:${key}`],
      [
        `${name}t:`,
        this.#nonce(),
        String(Math.ceil(ttlMs)),
        value,
        token,
        ...allTags.flatMap((tag, index) => [tag, generations[index] ?? ""]),
      ],
    );
    return reply === 1;
  }

  async delete(namespace: string, keys: readonly string[]): Promise<void> {
    const name = this.#nameOf(namespace);
    await this.#unlink(keys.flatMap((key) => [`${name}v:${key}`, `${name}l:${key}`]));
  }

  async invalidate(namespace: string, tags: readonly string[]): Promise<void> {
    const name = this.#nameOf(namespace);
    await this.#unlink(tags.map((tag) => `${name}t:${tag}`));
  }

  async clear(namespace: string): Promise<void> {
    await this.invalidate(namespace, [namespaceTag]);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #unlink(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#connection.command(["UNLINK", ...keys]);
  }

  #nameOf(namespace: string): string {
    let name = this.#names.get(namespace);
    if (name === undefined) {
      assert(/^[\w.-]+$/.test(namespace), `a namespace is letters, digits, ".", "_" and "-"`);
      name = `${this.#prefix}:{${namespace}}:`;
      this.#names.set(namespace, name);
    }
    return name;
  }

  /** 96 random bits: a name that was never given before. */
  #nonce(): string {
    return Buffer.from(this.#random.fill(this.#nonceBytes)).toString("base64url");
  }
}
