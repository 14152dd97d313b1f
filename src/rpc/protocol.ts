import type { CallContext, TraceIds } from "../base/index.ts";
import type { Reader, Writer } from "../wire/index.ts";
import type { RemoteMethod } from "./method.ts";

/**
 * The protocol between two processes of an app, version 1.
 *
 * Frames of the `wire` room on TCP or TLS. The client says hello, the server sends a challenge, the client proves the
 * shared secret, the server welcomes it with its own proof and its table of methods (handshake.ts). From then on the
 * client sends calls, which the server answers in any order.
 *
 *     client                                   server
 *     principal  slot, principal               (remembered for the connection)
 *     call       id, method, header, request   position id, token (before the answer, when the call advanced it)
 *                                              repeat  id (before the answer, when it was recorded for a key before)
 *                                              result  id, response
 *                                              error   id, code, reason, message, details, retry, executed
 *     cancel     id                            (no answer)
 *     call       with a stream's window        item    id, value        (as long as the window is open)
 *     grant      id, items, bytes              end     id | error id …
 *                                              goaway  (send no new calls here; those sent are answered)
 *     ping / pong in both directions
 *
 * A method is named by its place in the server's table. Values travel in the compiled form where both sides have the same
 * fingerprint for that request or response, otherwise in the self-describing one; the call's flags say which. So two
 * versions of an app can talk during a rolling deployment.
 *
 * What came after the first build of this version is a feature, which a side uses only when both name it.
 *
 * After the handshake the frames are not signed: on a network that others can write to, use TLS.
 */
export const protocolName = "plinth-rpc";
export const protocolVersions: readonly number[] = [1];

/** What this build can do beyond unary calls. A side uses only what both name. */
export const protocolFeatures: readonly string[] = ["streams", "positions", "repeats", "criticality", "traces"];

export const frameKind = {
  hello: 1,
  challenge: 2,
  proof: 3,
  welcome: 4,
  reject: 5,
  call: 16,
  cancel: 17,
  grant: 18,
  principal: 19,
  result: 32,
  error: 33,
  item: 34,
  end: 35,
  goaway: 36,
  position: 37,
  repeat: 38,
  ping: 48,
  pong: 49,
} as const;

const flag = {
  compiledRequest: 1,
  compiledResponse: 2,
  deadline: 4,
  traced: 8,
  keyed: 16,
  caller: 32,
  retried: 64,
  stream: 128,
  /** Only to a server with the feature "positions". */
  position: 256,
  /** Not "critical", which is the default. Only to a server with the feature "criticality". */
  criticality: 512,
  /** The trace's ids are numbers, not text. Only to a server with the feature "traces". */
  traceIds: 1024,
} as const;

/** The longest remaining time that is sent: about 49 days. A longer one is sent as none. */
const remainingMsMax = 0xffff_ffff;

export interface StreamWindow {
  readonly items: number;
  readonly bytes: number;
}

/** One for each connection, read into again and again. */
export class CallHeader {
  id = 0;
  method = 0;
  isRequestCompiled = false;
  isResponseCompiled = false;
  /** Infinite: no deadline. */
  remainingMs: number = Number.POSITIVE_INFINITY;
  /** 0 is the anonymous principal. */
  principalSlot = 0;
  /** The trace as text or as numbers; undefined when there is none. */
  trace: string | TraceIds | undefined = undefined;
  tracestate: string | undefined = undefined;
  idempotencyKey: string | undefined = undefined;
  /** Undefined: the name that the client gave in the handshake. */
  caller: string | undefined = undefined;
  attempt = 1;
  window: StreamWindow | undefined = undefined;
  /** How far the caller has come in the databases (`Position`): not checked. */
  position: string | undefined = undefined;
  /** As it was told: not checked. Undefined: critical. */
  criticality: number | undefined = undefined;
  readonly #traceIds: TraceIds = { words: new Int32Array(6), flags: 0 };

  read(reader: Reader): void {
    this.id = reader.uvarint();
    this.method = reader.uvarint();
    const flags = reader.uvarint();
    this.isRequestCompiled = (flags & flag.compiledRequest) !== 0;
    this.isResponseCompiled = (flags & flag.compiledResponse) !== 0;
    this.principalSlot = reader.uvarint();
    this.remainingMs = (flags & flag.deadline) === 0 ? Number.POSITIVE_INFINITY : reader.uvarint();
    if ((flags & flag.traced) === 0) {
      this.trace = undefined;
      this.tracestate = undefined;
    } else {
      this.trace = (flags & flag.traceIds) === 0 ? reader.string() : this.#readTraceIds(reader);
      this.tracestate = reader.string() || undefined;
    }
    this.idempotencyKey = (flags & flag.keyed) === 0 ? undefined : reader.string();
    this.caller = (flags & flag.caller) === 0 ? undefined : reader.string();
    this.attempt = (flags & flag.retried) === 0 ? 1 : reader.uvarint();
    this.window = (flags & flag.stream) === 0 ? undefined : { items: reader.uvarint(), bytes: reader.uvarint() };
    this.position = (flags & flag.position) === 0 ? undefined : reader.string();
    this.criticality = (flags & flag.criticality) === 0 ? undefined : reader.uvarint();
  }

  #readTraceIds(reader: Reader): TraceIds {
    const ids = this.#traceIds;
    reader.words(ids.words);
    ids.flags = reader.byte();
    return ids;
  }
}

/** What of a call's header does not come from its context. */
export interface CallPlace {
  id: number;
  target: RemoteMethod;
  remainingMs: number;
  principalSlot: number;
  readonly clientName: string;
  window: StreamWindow | undefined;
  position: string | undefined;
  /** Undefined: not told. */
  criticality: number | undefined;
  readonly hasTraces: boolean;
}

const traceWords = new Int32Array(6);

export function writeCallHeader(writer: Writer, place: CallPlace, context: CallContext): void {
  const { trace, idempotencyKey, caller, attempt } = context;
  const hasTraceIds = place.hasTraces && trace?.writeIds !== undefined;
  const hasDeadline = place.remainingMs <= remainingMsMax;
  writer.uvarint(place.id);
  writer.uvarint(place.target.index);
  writer.uvarint(
    (place.target.isRequestCompiled ? flag.compiledRequest : 0) |
      (place.target.isResponseCompiled ? flag.compiledResponse : 0) |
      (hasDeadline ? flag.deadline : 0) |
      (trace ? flag.traced : 0) |
      (hasTraceIds ? flag.traceIds : 0) |
      (idempotencyKey === undefined ? 0 : flag.keyed) |
      (caller === place.clientName ? 0 : flag.caller) |
      (attempt > 1 ? flag.retried : 0) |
      (place.window ? flag.stream : 0) |
      (place.position === undefined ? 0 : flag.position) |
      (place.criticality === undefined ? 0 : flag.criticality),
  );
  writer.uvarint(place.principalSlot);
  if (hasDeadline) writer.uvarint(Math.ceil(place.remainingMs));
  if (trace) {
    if (hasTraceIds) {
      const flags = trace.writeIds?.(traceWords) ?? 0;
      writer.words(traceWords);
      writer.byte(flags);
    } else writer.string(trace.traceparent());
    writer.string(trace.tracestate ?? "");
  }
  if (idempotencyKey !== undefined) writer.string(idempotencyKey);
  if (caller !== place.clientName) writer.string(caller);
  if (attempt > 1) writer.uvarint(attempt);
  if (place.window) {
    writer.uvarint(place.window.items);
    writer.uvarint(place.window.bytes);
  }
  if (place.position !== undefined) writer.string(place.position);
  if (place.criticality !== undefined) writer.uvarint(place.criticality);
}
