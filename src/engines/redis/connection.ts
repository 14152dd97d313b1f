import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { Clock, Random } from "../../base/index.ts";
import { PlinthError, StartError, systemClock, systemRandom } from "../../base/index.ts";
import type { TimeLimit } from "../../resilience/index.ts";
import { createTimeLimit } from "../../resilience/index.ts";
import type { RedisAddress } from "./address.ts";

export interface ConnectionOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How this process appears in CLIENT LIST. Default: plinth. */
  readonly applicationName?: string;
  /** Loads the npm package. For tests. */
  readonly loadPackage?: () => Promise<unknown>;
}

/** The part of `@redis/client` that is used. */
interface ClientLibrary {
  createClient(options: object): Client;
}

interface Client {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  close(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (thrown: unknown) => void): unknown;
}

const connectMsMax = 2000;
const commandMsMax = 1000;
const commandsMax = 10_000;
const reconnectMsMax = 2000;
const openAttemptsMax = 5;

/**
 * One connection to a Redis server, on which all commands go out in order without waiting for each other.
 *
 * At start, five attempts are made; then the start fails. Later, a lost connection is made again for as long as it takes,
 * after a random wait of up to 2 s. Meanwhile commands fail at once (`REDIS_UNREACHABLE`): nothing is queued that nobody
 * waits for any more. A command that has no answer after 1 s fails too, and if nothing at all was heard since it was
 * sent, the connection is given up and a new one made: a peer that vanished without a word is otherwise noticed after
 * minutes. At most 10,000 commands are on their way.
 */
export class RedisConnection {
  readonly #address: RedisAddress;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limit: TimeLimit;
  readonly #name: string;
  readonly #loadPackage: (() => Promise<unknown>) | undefined;
  #library: ClientLibrary | undefined;
  #client: Client | undefined;
  #heardAt = 0;

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
      const { client, reconnects } = this.#create(this.#library);
      try {
        await client.connect();
        reconnects.on = true;
        this.#client = client;
        return;
      } catch (thrown) {
        if (isRefusal(thrown)) throw refused(this.#address, thrown);
        if (attempt >= openAttemptsMax) throw unreachable(this.#address, thrown);
        await this.#clock.sleep(this.#jitterMs(attempt));
      }
    }
  }

  async command(args: readonly string[]): Promise<unknown> {
    const client = this.#client;
    if (!client?.isReady) throw offline();
    const sentAt = this.#clock.now();
    try {
      const reply = await this.#limit(client.sendCommand(args));
      this.#heardAt = this.#clock.now();
      return reply;
    } catch (thrown) {
      if (!(thrown instanceof PlinthError)) throw failed(thrown);
      if (this.#heardAt < sentAt) this.#replace(client);
      throw thrown;
    }
  }

  /** Runs a script by its digest, and sends it whole to a server that does not know it. */
  async evaluate(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.command(["EVALSHA", script.digest, ...rest]);
    } catch (thrown) {
      if (!replyOf(thrown).startsWith("NOSCRIPT")) throw thrown;
      return this.command(["EVAL", script.text, ...rest]);
    }
  }

  /** Waits for commands under way, for at most 1 s. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (!client) return;
    if (client.isReady) await this.#limit(client.close()).catch(() => client.destroy());
    else client.destroy();
  }

  /** A client that does not reconnect until it is told to: at start, this room counts the attempts itself. */
  #create(library: ClientLibrary): { client: Client; reconnects: { on: boolean } } {
    const { host, port, tls, username, password, database } = this.#address;
    const reconnects = { on: false };
    const client = library.createClient({
      RESP: 2,
      name: this.#name,
      database,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      disableOfflineQueue: true,
      commandsQueueMaxLength: commandsMax,
      maintNotifications: "disabled",
      socket: {
        host,
        port,
        ...(tls && { tls: true, ...(!isIP(host) && { servername: host }) }),
        connectTimeout: connectMsMax,
        reconnectStrategy: (retries: number) => reconnects.on && this.#jitterMs(retries + 1),
      },
    });
    // Without a listener a lost connection would end the process. Each command that it costs fails on its own.
    client.on("error", () => {});
    return { client, reconnects };
  }

  #replace(old: Client): void {
    if (this.#client !== old || !this.#library) return;
    old.destroy();
    const { client, reconnects } = this.#create(this.#library);
    reconnects.on = true;
    this.#client = client;
    // Rejects only when it is closed while it tries.
    client.connect().catch(() => {});
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
