import { createHash } from "node:crypto";
import type { Clock, Random } from "../../base/index.ts";
import { PlinthError, StartError, systemClock, systemRandom } from "../../base/index.ts";
import type { TimeLimit } from "../../resilience/index.ts";
import { createTimeLimit } from "../../resilience/index.ts";
import type { RedisAddress } from "./address.ts";
import type { Client, ClientLibrary, Link } from "./link.ts";
import { connectOnce, createLink } from "./link.ts";

export interface ConnectionOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How this process appears in CLIENT LIST. Default: plinth. */
  readonly applicationName?: string;
  /** Loads the npm package. For tests. */
  readonly loadPackage?: () => Promise<unknown>;
}

const commandMsMax = 1000;
const reconnectMsMax = 2000;
const openAttemptsMax = 5;
/** How often a server that became a replica makes this room look for the primary again. */
const readonlyMsMin = 1000;

/**
 * One connection to a Redis server, or to each node of a cluster, on which all commands go out in order without waiting
 * for each other.
 *
 * At start, five attempts are made; then the start fails. Later, a lost connection is made again for as long as it takes,
 * after a random wait of up to 2 s; with sentinels, to whom they name then. Meanwhile commands fail at once
 * (`REDIS_UNREACHABLE`): nothing is queued that nobody waits for any more. A command that has no answer after 1 s fails
 * too, and if nothing at all was heard since it was sent, the connection is given up and a new one made: a peer that
 * vanished without a word is otherwise noticed after minutes. So is one that has become a replica. At most 10,000
 * commands are on their way.
 */
export class RedisConnection {
  readonly #address: RedisAddress;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limit: TimeLimit;
  readonly #name: string;
  readonly #loadPackage: (() => Promise<unknown>) | undefined;
  /** When an answer was heard last; in a cluster, for each part of the keys that is in one slot. */
  readonly #heardAt = new Map<string, number>();
  #library: ClientLibrary | undefined;
  #link: Link | undefined;
  #replacedAt = Number.NEGATIVE_INFINITY;

  constructor(address: RedisAddress, options: ConnectionOptions = {}) {
    this.#address = address;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#limit = createTimeLimit({ name: "Redis", limit: commandMsMax, clock: this.#clock });
    // The server takes no spaces in it.
    this.#name = (options.applicationName ?? "plinth").replace(/[^!-~]+/g, "-");
    this.#loadPackage = options.loadPackage;
  }

  async open(): Promise<void> {
    this.#library = await loadClient(this.#loadPackage);
    for (let attempt = 1; ; attempt++) {
      const link = this.#create(this.#library);
      try {
        await link.connect();
        this.#link = link;
        return;
      } catch (thrown) {
        link.destroy();
        if (isRefusal(thrown)) throw refused(this.#address, thrown);
        if (attempt >= openAttemptsMax) throw unreachable(this.#address, thrown);
        await this.#clock.sleep(this.#jitterMs(attempt));
      }
    }
  }

  /** `slotKey`: a key by which a cluster finds the node. */
  async command(args: readonly string[], slotKey: string | undefined = args[1]): Promise<unknown> {
    const link = this.#link;
    if (!link?.isReady) throw offline();
    const sentAt = this.#clock.now();
    const part = this.#partOf(slotKey);
    try {
      const reply = await this.#limit(link.send(args, slotKey));
      this.#heardAt.set(part, this.#clock.now());
      return reply;
    } catch (thrown) {
      if (thrown instanceof PlinthError) {
        if ((this.#heardAt.get(part) ?? 0) < sentAt) this.#replace(link);
        throw thrown;
      }
      if (thrown instanceof Error && thrown.message.startsWith("READONLY") && this.#mayLookAgain()) this.#replace(link);
      throw failed(thrown);
    }
  }

  /** Runs a script by its digest, and sends it whole to a server that does not know it. */
  async evaluate(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.command(["EVALSHA", script.digest, ...rest], keys[0]);
    } catch (thrown) {
      if (!replyOf(thrown).startsWith("NOSCRIPT")) throw thrown;
      return this.command(["EVAL", script.text, ...rest], keys[0]);
    }
  }

  /** A connection of its own for who listens, which ends when it is lost. `turn` chooses among the nodes of a cluster. */
  async connectListener(turn: number): Promise<Client> {
    const library = this.#library;
    if (!library) throw offline();
    return connectOnce({ library, address: this.#address, name: this.#name }, turn);
  }

  /** Waits for commands under way, for at most 1 s. */
  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    if (!link) return;
    if (link.isReady) await this.#limit(link.close()).catch(() => link.destroy());
    else link.destroy();
  }

  #create(library: ClientLibrary): Link {
    const link: Link = createLink({
      library,
      address: this.#address,
      name: this.#name,
      jitterMs: (attempt) => this.#jitterMs(attempt),
      onEnd: () => this.#replace(link),
    });
    return link;
  }

  #replace(old: Link): void {
    if (this.#link !== old || !this.#library) return;
    old.destroy();
    const link = this.#create(this.#library);
    this.#link = link;
    void this.#connect(link);
  }

  /** Until it is connected, or replaced or closed. */
  async #connect(link: Link): Promise<void> {
    for (let attempt = 1; this.#link === link; attempt++) {
      try {
        await link.connect();
      } catch {
        await new Promise<void>((resolve) => this.#clock.after(this.#jitterMs(attempt), resolve));
        continue;
      }
      if (this.#link !== link) link.destroy();
      return;
    }
  }

  #mayLookAgain(): boolean {
    const nowMs = this.#clock.now();
    if (nowMs - this.#replacedAt < readonlyMsMin) return false;
    this.#replacedAt = nowMs;
    return true;
  }

  #partOf(slotKey: string | undefined): string {
    return this.#address.kind === "cluster" ? (slotKey?.split("}", 1)[0] ?? "") : "";
  }

  #jitterMs(attempt: number): number {
    return Math.ceil(this.#random.next() * Math.min(reconnectMsMax, 50 * 2 ** attempt));
  }
}

export interface RedisScript {
  readonly text: string;
  readonly digest: string;
}

export function defineScript(text: string): RedisScript {
  return { text, digest: createHash("sha1").update(text).digest("hex") };
}

async function loadClient(load: () => Promise<unknown> = () => import("@redis/client")): Promise<ClientLibrary> {
  try {
    return (await load()) as ClientLibrary;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw thrown;
    throw new StartError(
      "ENGINE_PACKAGE_MISSING",
      'redis: this engine needs the npm package "@redis/client": run npm install @redis/client',
      { cause: thrown },
    );
  }
}

/** The server is there, and says no: another attempt would get the same answer. */
function isRefusal(thrown: unknown): boolean {
  return thrown instanceof Error && /^(?:WRONGPASS|NOAUTH|NOPERM|ERR) /.test(thrown.message);
}

/** What the server said, if it was the server that made a command fail. */
export function replyOf(thrown: unknown): string {
  const cause = thrown instanceof PlinthError ? thrown.cause : undefined;
  return cause instanceof Error ? cause.message : "";
}

function refused(address: RedisAddress, thrown: unknown): StartError {
  return new StartError(
    "REDIS_REFUSED",
    `redis: ${address.shown} refused the connection (${causeOf(thrown)}). Check user name, password and database number in the URL`,
  );
}

function unreachable(address: RedisAddress, thrown: unknown): StartError {
  return new StartError(
    "REDIS_UNREACHABLE",
    `redis: nothing answers at ${address.shown} (${openAttemptsMax} attempts; ${causeOf(thrown)}). Start the server, correct the URL, or leave it out to use the cache in memory`,
    { cause: thrown },
  );
}

function causeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { code } = thrown as NodeJS.ErrnoException;
  return code ?? thrown.message;
}

function offline(): PlinthError {
  return new PlinthError("unavailable", "Redis cannot be reached at the moment.", {
    reason: "REDIS_UNREACHABLE",
    executed: "no",
  });
}

function failed(thrown: unknown): PlinthError {
  return new PlinthError("unavailable", "Redis could not do this.", { reason: "REDIS_FAILED", cause: thrown });
}
