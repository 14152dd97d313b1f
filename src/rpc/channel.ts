import type { CallContext, CallScope, Clock, PlinthError } from "../base/index.ts";
import { deadlineExceeded, toPlinthError } from "../base/index.ts";
import { levelOf } from "../resilience/index.ts";
import type { Codec, Reader } from "../wire/index.ts";
import { fromWireError, readValue } from "../wire/index.ts";
import { CallTable } from "./call-table.ts";
import { ClientStream } from "./client-stream.ts";
import type { Connection } from "./connection.ts";
import { connectionLost, methodUnknown, protocolBroken, responseUnreadable } from "./errors.ts";
import type { CompiledMethod, RemoteMethod } from "./method.ts";
import { SentPrincipals } from "./principal-table.ts";
import type { CallPlace, StreamWindow } from "./protocol.ts";
import { frameKind, writeCallHeader } from "./protocol.ts";

/** What waits for the server's answers to one call. */
export interface PendingCall {
  id: number;
  readonly codec: Codec;
  readonly isResponseCompiled: boolean;
  /** The connection's `flushCount` when the call was written. */
  writtenAt: number;
  readonly context: CallContext;
  /** Takes back the listener on the caller's cancellation. */
  forget: () => void;
  onResult(value: unknown): void;
  onError(error: PlinthError): void;
  /** Of a stream. */
  onItem?(value: unknown, byteCount: number): void;
  onEnd?(): void;
}

export interface ChannelOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly clientName: string;
  readonly methods: readonly CompiledMethod[];
  readonly remote: readonly (RemoteMethod | undefined)[];
  readonly callCountMax: number;
  readonly pendingBytesMax: number;
  readonly window: StreamWindow;
  /** The server sends us away: `leave` is to be called soon. */
  onLeave(channel: Channel): void;
  /** Does the server do streams? */
  readonly hasStreams: boolean;
  /** Does it take and tell positions? */
  readonly hasPositions: boolean;
  /** Does it know how much a call matters? */
  readonly hasCriticality: boolean;
  /** Does it take the ids of a trace as numbers? */
  readonly hasTraces: boolean;
}

/**
 * The client's side of one connection after the handshake: sends calls, and gives each its answer.
 *
 * When the connection ends, each call in flight fails with RPC_CONNECTION_LOST: `executed` is "no" for those that had not
 * left this process, "maybe" for the others.
 */
export class Channel {
  readonly connection: Connection;
  /** Told to send no new calls. */
  isLeaving = false;
  readonly #options: ChannelOptions;
  readonly #principals = new SentPrincipals();
  /** One for all calls: written and done with before the next. */
  readonly #place: CallPlace;
  readonly #pending = new CallTable<PendingCall>();
  #nextId = 1;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.connection = options.connection;
    this.#place = {
      id: 0,
      target: { index: 0, isRequestCompiled: false, isResponseCompiled: false },
      remainingMs: 0,
      principalSlot: 0,
      clientName: options.clientName,
      window: undefined,
      position: undefined,
      criticality: undefined,
      hasTraces: options.hasTraces,
    };
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  has(method: number): boolean {
    const isStream = this.#options.methods[method]?.method.kind === "stream";
    return this.#options.remote[method] !== undefined && (!isStream || this.#options.hasStreams);
  }

  get hasRoom(): boolean {
    const { callCountMax, pendingBytesMax } = this.#options;
    return this.#pending.size < callCountMax && this.connection.pendingBytes < pendingBytesMax;
  }

  call(method: number, request: unknown, context: CallContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const pending = this.#pendingFor(method, context, resolve, reject);
      const id = this.#send(method, request, context, undefined, pending, reject);
      if (id === undefined) return;
      pending.forget = context.onCancel((reason) => {
        this.cancel(id);
        reject(reason);
      });
    });
  }

  stream(method: number, request: unknown, context: CallContext): AsyncIterator<unknown> {
    const { window } = this.#options;
    const stream = new ClientStream(window, {
      cancel: () => this.cancel(id ?? 0),
      grant: (items, bytes) => this.#grant(id ?? 0, items, bytes),
    });
    const pending = this.#pendingFor(
      method,
      context,
      () => stream.fail(protocolBroken("a stream was answered like a call")),
      (error) => stream.fail(error),
    );
    pending.onItem = (value, byteCount) => stream.push(value, byteCount);
    pending.onEnd = () => stream.end();
    const id = this.#send(method, request, context, window, pending, (error) => stream.fail(error));
    if (id !== undefined) {
      pending.forget = context.onCancel((reason) => {
        this.cancel(id);
        stream.fail(reason);
      });
    }
    return stream;
  }

  /** Sends no new calls, and ends the connection when those sent are answered. */
  leave(): void {
    this.isLeaving = true;
    this.#leaveIfDone();
  }

  /** Forgets a call, and tells the server so. */
  cancel(id: number): void {
    if (!this.#take(id)) return;
    this.connection.send(frameKind.cancel, (writer) => writer.uvarint(id));
    this.#leaveIfDone();
  }

  onFrame(kind: number, payload: Reader): void {
    switch (kind) {
      case frameKind.result:
        this.#onResult(payload);
        break;
      case frameKind.error: {
        const id = payload.uvarint();
        const error = fromWireError(readValue(payload));
        this.#take(id)?.onError(error);
        this.#leaveIfDone();
        break;
      }
      case frameKind.item:
        this.#onItem(payload);
        break;
      case frameKind.end:
        this.#onEnd(payload);
        break;
      case frameKind.position:
        this.#pending.get(payload.uvarint())?.context.position.merge(payload.string());
        break;
      case frameKind.repeat: {
        const context = this.#pending.get(payload.uvarint())?.context;
        if (context) (context as CallScope).isRepeat = true;
        break;
      }
      case frameKind.goaway:
        this.#options.onLeave(this);
        break;
      default:
        throw protocolBroken(`a server may not send frames of kind ${kind}`);
    }
  }

  /** The connection is gone. */
  onClose(reason: PlinthError): void {
    for (const pending of this.#pending.all()) {
      this.#take(pending.id);
      pending.onError(connectionLost(this.connection.flushCount > pending.writtenAt ? "maybe" : "no", reason));
    }
  }

  #leaveIfDone(): void {
    if (this.isLeaving && this.#pending.size === 0) this.connection.finish(connectionLost("no", undefined));
  }

  #pendingFor(
    method: number,
    context: CallContext,
    onResult: (value: unknown) => void,
    onError: (error: PlinthError) => void,
  ): PendingCall {
    return {
      id: 0,
      codec: (this.#options.methods[method] as CompiledMethod).response,
      isResponseCompiled: this.#options.remote[method]?.isResponseCompiled ?? false,
      writtenAt: this.connection.flushCount,
      context,
      forget: nothing,
      onResult,
      onError,
    };
  }

  /** Writes the call. Returns its id, or reports why it cannot be sent. */
  #send(
    method: number,
    request: unknown,
    context: CallContext,
    window: StreamWindow | undefined,
    pending: PendingCall,
    refuse: (error: PlinthError) => void,
  ): number | undefined {
    const { clock, methods, remote, hasPositions, hasCriticality } = this.#options;
    const { connection } = this;
    const { method: local, request: codec } = methods[method] as CompiledMethod;
    const target = remote[method];
    const remainingMs = context.deadline - clock.now();
    const refusal = context.cancelled ?? (remainingMs > 0 ? undefined : deadlineExceeded("no"));
    if (refusal || !target) {
      refuse(refusal ?? methodUnknown(local.id));
      return undefined;
    }
    const { writer } = connection;
    let mark = writer.length;
    try {
      const principalSlot = this.#principals.slotOf(context.principal, connection);
      // A new principal's frame may have been written out with what was there before it; the call is not.
      mark = writer.length;
      pending.writtenAt = connection.flushCount;
      const id = this.#freeId();
      const position = hasPositions ? context.knownPosition?.token : undefined;
      const criticality = hasCriticality && context.criticality !== levelOf() ? context.criticality : undefined;
      connection.begin(frameKind.call);
      const place = this.#place;
      place.id = id;
      place.target = target;
      place.remainingMs = remainingMs;
      place.principalSlot = principalSlot;
      place.window = window;
      place.position = position;
      place.criticality = criticality;
      writeCallHeader(writer, place, context);
      if (target.isRequestCompiled) codec.encode(request, writer);
      else codec.encodeLoose(request, writer);
      connection.end(mark);
      pending.id = id;
      this.#pending.add(pending);
      return id;
    } catch (thrown) {
      writer.rewind(mark);
      refuse(toPlinthError(thrown));
      return undefined;
    }
  }

  #freeId(): number {
    do this.#nextId = this.#nextId === 0xffff_ffff ? 1 : this.#nextId + 1;
    while (this.#pending.get(this.#nextId));
    return this.#nextId;
  }

  #take(id: number): PendingCall | undefined {
    const pending = this.#pending.take(id);
    pending?.forget();
    return pending;
  }

  #grant(id: number, items: number, bytes: number): void {
    if (!this.#pending.get(id)) return;
    this.connection.send(frameKind.grant, (writer) => {
      writer.uvarint(id);
      writer.uvarint(items);
      writer.uvarint(bytes);
    });
  }

  #onResult(payload: Reader): void {
    // Unknown ids are answers to calls that were cancelled meanwhile.
    const pending = this.#take(payload.uvarint());
    if (!pending) return;
    try {
      pending.onResult(decode(pending, payload));
    } catch (thrown) {
      pending.onError(responseUnreadable(thrown));
    }
    this.#leaveIfDone();
  }

  #onEnd(payload: Reader): void {
    const pending = this.#take(payload.uvarint());
    if (pending?.onEnd) pending.onEnd();
    else pending?.onError(protocolBroken("a call was answered like a stream"));
    this.#leaveIfDone();
  }

  #onItem(payload: Reader): void {
    const byteCount = payload.end - payload.at + frameHeaderBytes;
    const id = payload.uvarint();
    const pending = this.#pending.get(id);
    if (!pending) return;
    try {
      if (!pending.onItem) throw protocolBroken("a call was answered like a stream");
      pending.onItem(decode(pending, payload), byteCount);
    } catch (thrown) {
      this.cancel(id);
      pending.onError(responseUnreadable(thrown));
    }
  }
}

/** Length and kind: the server counts them as well. */
const frameHeaderBytes = 5;

function nothing(): void {}

function decode(pending: PendingCall, payload: Reader): unknown {
  const value = pending.isResponseCompiled ? pending.codec.decode(payload) : pending.codec.decodeLoose(payload);
  payload.finish();
  return value;
}
