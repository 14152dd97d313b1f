import type { Socket } from "node:net";
import type { PlinthError } from "../base/index.ts";
import { httpStatusOf } from "../wire/index.ts";
import {
  headersTooLarge,
  methodNotImplemented,
  requestMalformed,
  requestTimeout,
  urlTooLong,
  versionNotSupported,
} from "./errors.ts";
import type { Edge } from "./exchange.ts";
import { rawRefusal } from "./refusal.ts";

/** What Node's parser says of bytes that are no request, or of one that did not come in time. */
interface ParseError extends Error {
  readonly code?: string;
  readonly reason?: string;
  readonly rawPacket?: Buffer;
  readonly bytesParsed?: number;
}

/**
 * Answers what never became a request, as bytes, and closes the connection. When a body broke half way, its own request
 * answers; when earlier requests on the connection are still running, their answers come first.
 */
export function answerBrokenConnection(edge: Edge, thrown: ParseError, socket: Socket): void {
  if (thrown.code === "ECONNRESET" || thrown.code === "EPIPE" || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = refusalOf(edge, thrown);
  const connection = edge.connections.known(socket);
  const last = connection?.lastResponse;
  if (connection?.newest?.onBroken(refusal)) return;
  if (last && !last.writableFinished) {
    last.once("finish", () => answerRaw(edge, refusal, socket));
    return;
  }
  answerRaw(edge, refusal, socket);
}

export function answerRaw(edge: Edge, refusal: PlinthError, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  edge.observeBroken(httpStatusOf(refusal));
  socket.end(rawRefusal(refusal, edge.refusalHead, new Date(edge.clock.wallNow()).toUTCString()));
  // What still arrives is thrown away, so that the answer is not lost in a reset; then the connection ends.
  socket.resume();
  const cancel = edge.clock.after(lingerMs, () => socket.destroy());
  socket.once("close", cancel);
}

const lingerMs = 1000;

function refusalOf(edge: Edge, { code, reason, rawPacket, bytesParsed }: ParseError): PlinthError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return isLineTooLong(rawPacket, edge.limits.headerBytes)
        ? urlTooLong(edge.limits.urlLength)
        : headersTooLarge(edge.limits.headerBytes);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return requestTimeout();
    case "HPE_INVALID_METHOD":
      // A word in capitals where a method belongs is a method that nobody implements; anything else is noise.
      return looksLikeMethod(rawPacket, bytesParsed ?? 0)
        ? methodNotImplemented()
        : requestMalformed("it does not begin with an HTTP method");
    case "HPE_INVALID_VERSION":
      return reason === "Invalid HTTP version" ? versionNotSupported() : requestMalformed(plain(reason));
    case "HPE_PAUSED_H2_UPGRADE":
      return versionNotSupported();
    case "HPE_INVALID_EOF_STATE":
      return requestMalformed("it is cut short");
    default:
      return requestMalformed(plain(reason));
  }
}

/** Whether the word in which the parser stopped is one in capitals, with a target after it. */
function looksLikeMethod(packet: Buffer | undefined, at: number): boolean {
  const before = packet?.subarray(Math.max(0, at - 32), at).toString("latin1") ?? "";
  const after = packet?.subarray(at, at + 64).toString("latin1") ?? "";
  const start = /[A-Z-]*$/.exec(before)?.[0] ?? "";
  return /^[A-Z][A-Z-]{0,31} [/*h]/.test(start + after);
}

/** The parser's own words are plain English about the bytes, with nothing of ours in them. */
function plain(reason: string | undefined): string {
  return reason ? reason.charAt(0).toLowerCase() + reason.slice(1) : "it is no HTTP/1.1";
}

/** Whether the headers overflowed within the request's first line. */
function isLineTooLong(packet: Buffer | undefined, headerBytes: number): boolean {
  return packet !== undefined && packet.length >= headerBytes && packet.subarray(0, headerBytes).indexOf(0x0a) === -1;
}
