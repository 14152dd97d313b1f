import type { Call, CallContext, Clock, PlinthError, Random, StreamCall } from "../base/index.ts";
import { deadlineExceeded, isError, systemClock, systemRandom } from "../base/index.ts";
import { parseAddresses } from "./address.ts";
import type { WaitingCall } from "./call-queue.ts";
import { CallQueue } from "./call-queue.ts";
import type { Channel } from "./channel.ts";
import type { RpcClientLimits } from "./client-limits.ts";
import { defaultClientLimits } from "./client-limits.ts";
import type { DialOptions } from "./dial.ts";
import { clientBusy, clientClosed, methodUnknown, unreachable } from "./errors.ts";
import { keysOf, requireFrameBytes } from "./handshake.ts";
import { LastResort } from "./last-resort.ts";
import type { LinkEvents, LinkState } from "./link.ts";
import { Link } from "./link.ts";
import type { RpcLog } from "./log.ts";
import type { CompiledMethod, RpcMethod } from "./method.ts";
import { compileMethods } from "./method.ts";
import type { RpcTls } from "./tls.ts";
import { secureContextOf } from "./tls.ts";

export interface RpcClientOptions {
  /** The process, as its peers see it in logs, and the caller of calls whose context says the same. */
  readonly name: string;
  /** "host:port", each an instance of the same service. */
  readonly addresses: readonly string[];
  readonly secret: string | readonly string[];
  readonly tls?: RpcTls | undefined;
  readonly methods: readonly RpcMethod[];
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Partial<RpcClientLimits>;
  readonly log?: RpcLog | undefined;
}

export interface RpcClientState {
  readonly connections: readonly { readonly address: string; readonly state: LinkState; readonly inFlight: number }[];
  readonly queued: number;
  /** Why there is no connection, when there is none. */
  readonly failure: PlinthError | undefined;
}

export interface RpcClient {
  /** A method as a function. Does no retries and sets no deadline: policies around it do. Throws for an id not given. */
  call(id: string): Call;
  stream(id: string): StreamCall;
  /** Connects ahead of the first call. Resolves with the first connection, rejects when none comes in time. */
  connect(): Promise<void>;
  /** Begins to connect to those that are there, so that the first calls need not. Where nobody is yet, nothing comes of it. */
  connectAhead(): void;
  readonly state: RpcClientState;
  /** This process takes leave itself: from now on a server that leaves is left at once, though there may be no other. */
  quiesce(): void;
  /** Ends all connections; calls in flight fail with RPC_CONNECTION_LOST. */
  close(): Promise<void>;
}

/**
 * Calls methods of a service in other processes.
 *
 * Connects on first use, or ahead of it when told to, then keeps its connections. Each call goes to the less busy of two connections picked at random;
 * an address without a connection gets no calls until it has one again. A server that leaves gets no new ones, except
 * while there is no other, for 3 s at most. While there is none at all, calls wait a little (a server that restarts costs
 * time, not errors), but never for long and never many.
 *
 * Errors of its own have `executed` "no" unless the call may have reached a handler: RPC_UNREACHABLE, RPC_QUEUE_FULL,
 * RPC_CLIENT_BUSY, RPC_METHOD_UNKNOWN, RPC_SECRET_REFUSED, RPC_VERSION_REFUSED; RPC_CONNECTION_LOST is "maybe" once the
 * call was sent.
 */
export function createRpcClient(options: RpcClientOptions): RpcClient {
  return new TcpRpcClient(options);
}

class TcpRpcClient implements RpcClient {
  readonly #methods: readonly CompiledMethod[];
  readonly #limits: RpcClientLimits;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #links: readonly Link[];
  readonly #queue: CallQueue<Channel>;
  readonly #lastResort: LastResort;
  #ready: Channel[] = [];
  #isQuiet = false;
  #isClosed = false;

  constructor(options: RpcClientOptions) {
    this.#methods = compileMethods(options.methods);
    this.#limits = { ...defaultClientLimits, ...options.limits };
    requireFrameBytes(this.#limits.frameBytes);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#queue = new CallQueue({
      clock: this.#clock,
      queueMs: this.#limits.queueMs,
      queuedMax: this.#limits.queuedCalls,
      failure: () => this.#failure(),
    });
    const { leaveMs } = this.#limits;
    this.#lastResort = new LastResort({ clock: this.#clock, leaveMs, onEmpty: () => this.#markIfDown() });
    const { tls } = options;
    const dialOptions: DialOptions = {
      name: options.name,
      keys: keysOf(options.secret),
      tls: tls && { context: secureContextOf(tls, "client"), serverName: tls.serverName },
      methods: this.#methods,
      clock: this.#clock,
      random: this.#random,
      limits: this.#limits,
    };
    const copies = Array.from({ length: this.#limits.connectionsPerAddress });
    const addresses = parseAddresses(options.addresses).flatMap((address) => copies.map(() => address));
    this.#links = addresses.map((address) => {
      const events: LinkEvents = {
        onReady: () => this.#onReady(),
        onDown: () => this.#onDown(),
        onLeave: (channel) => this.#onLeave(channel),
        onEnd: (channel) => this.#lastResort.forget(channel),
      };
      return new Link(address, dialOptions, events, options.log);
    });
  }

  get state(): RpcClientState {
    return {
      connections: this.#links.map((link) => ({
        address: link.address.text,
        state: link.state,
        inFlight: link.channel?.inFlight ?? 0,
      })),
      queued: this.#queue.size,
      failure: this.#ready.length > 0 ? undefined : this.#failure(),
    };
  }

  call(id: string): Call {
    const method = this.#indexOf(id, "unary");
    return (request, context) => {
      const channel = this.#pick(method);
      if (channel) return channel.call(method, request, context);
      return new Promise((resolve, reject) => {
        this.#wait(method, context, (ready) => resolve(ready.call(method, request, context)), reject);
      });
    };
  }

  stream(id: string): StreamCall {
    const method = this.#indexOf(id, "stream");
    return (request, context) => ({
      [Symbol.asyncIterator]: () => {
        const channel = this.#pick(method);
        return channel ? channel.stream(method, request, context) : this.#streamLater(method, request, context);
      },
    });
  }

  connect(): Promise<void> {
    if (this.#ready.length > 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#enqueue({ method: -1, go: () => resolve(), fail: reject }));
  }

  connectAhead(): void {
    for (const link of this.#links) link.openAhead();
  }

  quiesce(): void {
    this.#isQuiet = true;
    this.#lastResort.leaveAll();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ready = [];
    for (const link of this.#links) link.close();
    this.#queue.failAll(clientClosed("no"));
  }

  #streamLater(method: number, request: unknown, context: CallContext): AsyncIterator<unknown> {
    let isReturned = false;
    const opened = new Promise<Channel>((resolve, reject) => this.#wait(method, context, resolve, reject)).then(
      (channel) => (isReturned ? undefined : channel.stream(method, request, context)),
    );
    opened.catch(() => {});
    const done = { done: true, value: undefined } as const;
    return {
      next: async () => (await opened)?.next() ?? done,
      return: async () => {
        isReturned = true;
        opened.then(
          (stream) => stream?.return?.(),
          () => {},
        );
        return done;
      },
    };
  }

  #indexOf(id: string, kind: RpcMethod["kind"]): number {
    const index = this.#methods.findIndex(({ method }) => method.id === id && method.kind === kind);
    if (index === -1) throw new TypeError(`rpc: this client was not given a ${kind} method "${id}"`);
    return index;
  }

  /** The less busy of two ready connections picked at random, of those that have the method and room for a call. */
  #pick(method: number): Channel | undefined {
    const ready = this.#ready;
    const only = ready.length === 1 ? usable(ready[0], method) : undefined;
    if (only) return only;
    const first = Math.floor(this.#random.next() * ready.length);
    const step = 1 + Math.floor(this.#random.next() * (ready.length - 1));
    const one = usable(ready[first], method);
    const other = ready.length > 1 ? usable(ready[(first + step) % ready.length], method) : undefined;
    if (one && other) return other.inFlight < one.inFlight ? other : one;
    if (one || other) return one ?? other;
    const rest = ready.length > 0 ? ready : this.#lastResort.channels;
    return rest.find((channel) => usable(channel, method));
  }

  /** Nothing is ready for this call: say why at once, or let it wait. */
  #wait(
    method: number,
    context: CallContext,
    go: (channel: Channel) => void,
    fail: (error: PlinthError) => void,
  ): void {
    if (context.cancelled || context.deadline <= this.#clock.now()) {
      fail(context.cancelled ?? deadlineExceeded("no"));
      return;
    }
    if (this.#ready.length > 0) {
      fail(this.#refusal(method));
      return;
    }
    let forget = () => {};
    const waiting: WaitingCall<Channel> = {
      method,
      go: (channel) => {
        forget();
        go(channel);
      },
      fail: (error) => {
        forget();
        fail(error);
      },
    };
    if (!this.#enqueue(waiting)) return;
    forget = context.onCancel((reason) => {
      this.#queue.remove(waiting);
      fail(isError(reason, "deadline_exceeded") ? deadlineExceeded("no") : reason);
    });
  }

  /** Why none of the ready connections takes a call. */
  #refusal(method: number): PlinthError {
    const isKnown = this.#ready.some((channel) => channel.has(method));
    return isKnown ? clientBusy() : methodUnknown(this.#methods[method]?.method.id ?? "");
  }

  /** False when it failed already. */
  #enqueue(waiting: WaitingCall<Channel>): boolean {
    if (this.#isClosed || this.#isRefused()) {
      waiting.fail(this.#isClosed ? clientClosed("no") : this.#failure());
      return false;
    }
    for (const link of this.#links) link.open();
    return this.#queue.add(waiting);
  }

  /** By every address, for our secret or version: nobody needs to wait for that. */
  #isRefused(): boolean {
    return this.#links.every((link) => link.failure?.retry === "never");
  }

  #onReady(): void {
    this.#refresh();
    this.#lastResort.leaveAll();
    for (const waiting of this.#queue.markUp()) {
      const channel = waiting.method === -1 ? this.#ready[0] : this.#pick(waiting.method);
      if (channel) waiting.go(channel);
      else waiting.fail(this.#refusal(waiting.method));
    }
  }

  #onDown(): void {
    const wasReady = this.#ready.length > 0;
    this.#refresh();
    this.#markIfDown();
    // In a rolling restart the next process may leave before our pause for the one that came back is over.
    if (wasReady && this.#ready.length === 0) for (const link of this.#links) link.hurry();
    if (this.#isRefused()) this.#queue.failAll(this.#failure());
  }

  #onLeave(channel: Channel): void {
    const hasOther = this.#links.some((link) => link.channel);
    if (hasOther || this.#isQuiet || this.#isClosed) channel.leave();
    else this.#lastResort.add(channel);
  }

  #markIfDown(): void {
    if (this.#ready.length + this.#lastResort.channels.length === 0 && !this.#isClosed) this.#queue.markDown();
  }

  #refresh(): void {
    this.#ready = this.#links.flatMap((link) => (link.channel && !link.channel.isLeaving ? [link.channel] : []));
  }

  #failure(): PlinthError {
    const failures = this.#links.flatMap((link) => link.failure ?? []);
    if (this.#isRefused()) return failures[0] as PlinthError;
    return unreachable(
      this.#links.map((link) => link.address.text),
      failures[0],
    );
  }
}

function usable(channel: Channel | undefined, method: number): Channel | undefined {
  return channel?.hasRoom && channel.has(method) ? channel : undefined;
}
