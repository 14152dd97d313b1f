import type { Clock, Deadlines, PlinthError, Trace, TraceIds } from "../base/index.ts";
import { CallScope, deadlineExceeded, toPlinthError } from "../base/index.ts";
import type { Lane, Overload, Pass } from "../resilience/index.ts";
import { levelOf, overloaded, toLevel, waitMaxMsOf } from "../resilience/index.ts";
import type { Codec, Reader } from "../wire/index.ts";
import { toWireError, writeValue } from "../wire/index.ts";
import { CallTable } from "./call-table.ts";
import type { Connection } from "./connection.ts";
import { callerGone, methodUnknown, protocolBroken, responseUnsendable, serverBusy } from "./errors.ts";
import type { CompiledMethod, RpcServerMethod } from "./method.ts";
import { ReceivedPrincipals } from "./principal-table.ts";
import type { StreamWindow } from "./protocol.ts";
import { CallHeader, frameKind } from "./protocol.ts";
import type { StreamTarget } from "./server-stream.ts";
import { ServerStream } from "./server-stream.ts";

/** The span of a call on the server: its trace, and what ends it. */
export interface CallTrace {
  readonly trace: Trace | undefined;
  end(status: "ok" | "error"): void;
}

/** `sent`: the caller's `traceparent`, or the ids that it says, which are valid during the call only. */
export type StartTrace = (
  methodId: string,
  sent: string | TraceIds | undefined,
  tracestate: string | undefined,
) => CallTrace;

/** What all sessions of a server share. */
export interface Floor {
  readonly methods: readonly CompiledMethod<RpcServerMethod>[];
  /** Whether there is room for one more call. */
  readonly overload: Overload | undefined;
  /** By number of the method; empty without `overload`. */
  readonly lanes: readonly Lane[];
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly startTrace: StartTrace | undefined;
  readonly callCountMax: number;
  readonly connectionCallCountMax: number;
  /** Unsent bytes above which a connection is not read from, and streams wait. */
  readonly pendingBytesMax: number;
  /** Calls that run now, of all sessions. */
  inFlight: number;
  callCount: number;
  refusedCount: number;
}

const critical = levelOf();

/** A call of a client, from its arrival to its answer. */
class RunningCall implements StreamTarget {
  readonly id: number;
  readonly scope: CallScope;
  readonly trace: CallTrace | undefined;
  readonly isResponseCompiled: boolean;
  readonly compiled: CompiledMethod<RpcServerMethod>;
  /** Of a stream. */
  readonly window: StreamWindow | undefined;
  stream: ServerStream | undefined = undefined;
  /** The version of the position that the caller knows. */
  toldPosition: number;
  pass: Pass | undefined = undefined;

  constructor(
    header: CallHeader,
    compiled: CompiledMethod<RpcServerMethod>,
    scope: CallScope,
    trace: CallTrace | undefined,
  ) {
    this.id = header.id;
    this.scope = scope;
    this.trace = trace;
    this.isResponseCompiled = header.isResponseCompiled;
    this.compiled = compiled;
    this.window = header.window;
    this.toldPosition = scope.knownPosition?.version ?? 0;
  }

  get response(): Codec {
    return this.compiled.response;
  }
}

/**
 * The server's side of one connection after the handshake: runs calls and answers them.
 *
 * A call takes its place among those in flight until its handler has ended, also when its caller has gone: the handler
 * hears of that through its context and decides itself. A connection whose peer does not take the answers is not read
 * from until it does.
 */
export class Session {
  readonly connection: Connection;
  readonly clientName: string;
  readonly calls: CallTable<RunningCall> = new CallTable();
  readonly #floor: Floor;
  readonly #principals = new ReceivedPrincipals();
  readonly #header = new CallHeader();
  readonly #hasPositions: boolean;
  readonly #hasRepeats: boolean;

  constructor(
    connection: Connection,
    { name, features }: { readonly name: string; readonly features: readonly string[] },
    floor: Floor,
  ) {
    this.connection = connection;
    this.clientName = name;
    this.#hasPositions = features.includes("positions");
    this.#hasRepeats = features.includes("repeats");
    this.#floor = floor;
  }

  onFrame(kind: number, payload: Reader): void {
    switch (kind) {
      case frameKind.call:
        this.#accept(payload);
        break;
      case frameKind.cancel:
        this.calls.get(payload.uvarint())?.scope.cancel(callerGone());
        break;
      case frameKind.grant:
        this.calls.get(payload.uvarint())?.stream?.grant(payload.uvarint(), payload.uvarint());
        break;
      case frameKind.principal:
        this.#principals.receive(payload);
        break;
      default:
        throw protocolBroken(`a client may not send frames of kind ${kind}`);
    }
  }

  /** The peer has taken what was sent. */
  onDrain(): void {
    for (const call of this.calls.all()) call.stream?.wake();
  }

  /** The connection is gone: nobody waits for these any more. */
  onClose(): void {
    this.cancelAll(callerGone());
  }

  cancelAll(reason: PlinthError): void {
    for (const call of this.calls.all()) call.scope.cancel(reason);
  }

  #accept(payload: Reader): void {
    const header = this.#header;
    header.read(payload);
    if (this.calls.get(header.id)) throw protocolBroken(`the call ${header.id} is in flight already`);
    const principal = this.#principals.get(header.principalSlot);
    const compiled = this.#floor.methods[header.method];
    const refusal = this.#refusal(header, compiled);
    if (refusal || !compiled) {
      this.#floor.refusedCount++;
      this.sendError(header.id, refusal ?? methodUnknown(`number ${header.method}`));
      return;
    }
    let request: unknown;
    try {
      request = header.isRequestCompiled ? compiled.request.decode(payload) : compiled.request.decodeLoose(payload);
      payload.finish();
    } catch (thrown) {
      // The frame was whole, so the connection is sound: the call alone is refused.
      this.sendError(header.id, toPlinthError(thrown));
      return;
    }
    const trace = this.#floor.startTrace?.(compiled.method.id, header.trace, header.tracestate);
    const nowMs = this.#floor.clock.now();
    const scope = new CallScope({
      principal,
      deadline: nowMs + header.remainingMs,
      trace: trace?.trace,
      idempotencyKey: header.idempotencyKey,
      caller: header.caller ?? this.clientName,
      attempt: header.attempt,
      criticality: header.criticality === undefined ? critical : toLevel(header.criticality),
      deadlines: this.#floor.deadlines,
    });
    if (header.position !== undefined) scope.position.merge(header.position);
    const call = new RunningCall(header, compiled, scope, trace);
    this.calls.add(call);
    this.#floor.inFlight++;
    this.#floor.callCount++;
    const { overload, lanes } = this.#floor;
    const lane = lanes[header.method];
    if (overload && lane) this.#enter(call, request, overload, lane, nowMs);
    else this.#begin(call, request);
  }

  #begin(call: RunningCall, request: unknown): void {
    if (call.compiled.method.kind === "unary") this.#run(call, request);
    else this.#stream(call, request);
  }

  /** Begins when there is room for it, or never. What has been decoded is little beside what it asks for. */
  #enter(call: RunningCall, request: unknown, overload: Overload, lane: Lane, nowMs: number): void {
    const { scope } = call;
    call.pass = overload.tryEnter(lane, scope.criticality, nowMs);
    if (call.pass) {
      this.#begin(call, request);
      return;
    }
    overload.wait({
      level: scope.criticality,
      since: nowMs,
      waitMaxMs: waitMaxMsOf(scope.criticality, scope.deadline - nowMs),
      isOver: false,
      run: () => {
        if (scope.cancelled) this.#fail(call, scope.cancelled);
        else {
          call.pass = overload.enter(lane, this.#floor.clock.now());
          this.#begin(call, request);
        }
      },
      refuse: () => {
        this.#floor.refusedCount++;
        this.#fail(call, overloaded);
      },
    });
  }

  /** Why a call is not run, looked at before any work is done for it. */
  #refusal(header: CallHeader, compiled: CompiledMethod<RpcServerMethod> | undefined): PlinthError | undefined {
    const { inFlight, callCountMax, connectionCallCountMax } = this.#floor;
    if (!compiled) return methodUnknown(`number ${header.method}`);
    if ((compiled.method.kind === "stream") !== (header.window !== undefined)) return methodUnknown(compiled.method.id);
    if (header.remainingMs === 0) return deadlineExceeded("no");
    if (this.calls.size >= connectionCallCountMax) return serverBusy(connectionCallCountMax);
    return inFlight >= callCountMax ? serverBusy(callCountMax) : undefined;
  }

  #run(call: RunningCall, request: unknown): void {
    let answer: Promise<unknown>;
    try {
      answer = call.compiled.method.call?.(request, call.scope) as Promise<unknown>;
    } catch (thrown) {
      answer = Promise.reject(thrown);
    }
    Promise.resolve(answer).then(
      (value) => this.#succeed(call, value),
      (thrown) => this.#fail(call, thrown),
    );
  }

  #stream(call: RunningCall, request: unknown): void {
    const { method } = call.compiled;
    const window = call.window ?? { items: 1, bytes: 1 };
    const tellPosition = () => this.#tellPosition(call);
    call.stream = new ServerStream(this.connection, call, window, this.#floor.pendingBytesMax, tellPosition);
    const open = () => (method.stream as NonNullable<RpcServerMethod["stream"]>)(request, call.scope);
    const { pass } = call;
    call.pass = undefined;
    const running = call.stream.run(open);
    // It needed room to begin. From here on it is mostly idle, and how long it takes says nothing.
    pass?.release();
    running.then(
      () => {
        this.#tellPosition(call);
        this.#finish(call, "ok");
        this.connection.send(frameKind.end, (writer) => writer.uvarint(call.id));
      },
      (thrown) => this.#fail(call, thrown),
    );
  }

  #succeed(call: RunningCall, value: unknown): void {
    const { connection } = this;
    if (connection.isClosed || call.scope.cancelled?.reason === "RPC_CALLER_GONE") {
      this.#finish(call, "error");
      return;
    }
    this.#tellPosition(call);
    this.#tellRepeat(call);
    const { writer } = connection;
    const mark = connection.begin(frameKind.result);
    try {
      writer.uvarint(call.id);
      if (call.isResponseCompiled) call.response.encode(value, writer);
      else call.response.encodeLoose(value, writer);
      connection.end(mark);
    } catch (thrown) {
      writer.rewind(mark);
      this.#fail(call, responseUnsendable(thrown));
      return;
    }
    this.#finish(call, "ok");
  }

  #fail(call: RunningCall, thrown: unknown): void {
    const isGone = call.scope.cancelled?.reason === "RPC_CALLER_GONE";
    // Also of a call that failed: it may have written before.
    if (!isGone) {
      this.#tellPosition(call);
      this.#tellRepeat(call);
    }
    this.#finish(call, "error");
    if (!isGone) this.sendError(call.id, toPlinthError(thrown));
  }

  /** Ahead of what the caller must not see without it. */
  #tellPosition(call: RunningCall): void {
    const position = call.scope.knownPosition;
    if (!position || position.version === call.toldPosition || !this.#hasPositions) return;
    call.toldPosition = position.version;
    this.connection.send(frameKind.position, (writer) => {
      writer.uvarint(call.id);
      writer.string(position.token ?? "");
    });
  }

  #tellRepeat(call: RunningCall): void {
    if (call.scope.isRepeat && this.#hasRepeats)
      this.connection.send(frameKind.repeat, (writer) => writer.uvarint(call.id));
  }

  #finish(call: RunningCall, status: "ok" | "error"): void {
    this.calls.take(call.id);
    this.#floor.inFlight--;
    call.pass?.end(this.#floor.clock.now());
    call.scope.finish();
    call.trace?.end(status);
  }

  sendError(id: number, error: PlinthError): void {
    const write = (wire: unknown) =>
      this.connection.send(frameKind.error, (writer) => {
        writer.uvarint(id);
        writer.depth = 0;
        writeValue(writer, wire);
      });
    const wire = toWireError(error);
    try {
      write(wire);
    } catch {
      // Its details are no JSON, too deep or too large: the rest is still worth knowing.
      write({ ...wire, details: undefined, reason: wire.reason.slice(0, 100), message: wire.message.slice(0, 500) });
    }
  }
}
