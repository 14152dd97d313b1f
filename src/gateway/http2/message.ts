import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { constants, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { TLSSocket } from "node:tls";

/**
 * A request and its answer over HTTP/2, in the shape that those of HTTP/1.1 have, so that the rest of the gateway and the
 * handlers that are mounted in it know one kind only. Node's own shapes differ where it matters:
 *
 * - `:authority` is the `Host` header here, and no pseudo header is seen as a header.
 * - A body of untold length looks as a chunked one does.
 * - A "connection" is one stream: what ends it, or stands still, ends this request alone.
 * - An answer that breaks off resets its stream with an error, so that nobody takes what came for the whole.
 */

type RequestBase = new (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: object | undefined,
  rawHeaders: readonly string[],
) => Readable & { readonly aborted: boolean; readonly stream: ServerHttp2Stream };

/** Node's class, of which the members that are replaced here are not known to the compiler. */
const requestBase = Http2ServerRequest as unknown as RequestBase;

export class Http2Request extends requestBase {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  /** As `SETTINGS_MAX_HEADER_LIST_SIZE` counts: names, values and 32 for each. */
  readonly headerListBytes: number;
  readonly socket: Socket;
  method: string;
  url: string;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: object | undefined,
    rawHeaders: readonly string[],
  ) {
    super(stream, headers, options, rawHeaders);
    this.method = String(headers[":method"]);
    // CONNECT has none.
    this.url = typeof headers[":path"] === "string" ? headers[":path"] : "*";
    this.headers = {};
    for (const name of Object.keys(headers)) {
      if (name.charCodeAt(0) !== colon) this.headers[name] = headers[name];
    }
    this.rawHeaders = [];
    let bytes = 0;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] as string;
      const value = rawHeaders[i + 1] as string;
      bytes += name.length + value.length + 32;
      if (name.charCodeAt(0) !== colon) this.rawHeaders.push(name, value);
    }
    this.headerListBytes = bytes;
    this.#takeAuthority(headers[":authority"]);
    if (!stream.endAfterHeaders && this.headers["content-length"] === undefined) {
      this.headers["transfer-encoding"] = "chunked";
    }
    this.socket = streamSocket(stream);
  }

  get complete(): boolean {
    return this.stream.endAfterHeaders || this.readableEnded || this.aborted || this.stream.destroyed;
  }

  /** One that differs from a `Host` header beside it makes two of them, which is refused (RFC 9113, 8.3.1). */
  #takeAuthority(authority: string | string[] | undefined): void {
    if (typeof authority !== "string" || authority === this.headers.host) return;
    this.rawHeaders.push("host", authority);
    this.headers.host = authority;
  }
}

type ResponseBase = new (
  stream: ServerHttp2Stream,
) => NodeJS.EventEmitter & {
  readonly stream: ServerHttp2Stream;
  readonly writableEnded: boolean;
  writeHead(status: number, headers?: readonly string[] | object): unknown;
};

const responseBase = Http2ServerResponse as unknown as ResponseBase;

export class Http2Response extends responseBase {
  /** Closing a connection is no answer's business: see `http2/http2.ts`. */
  shouldKeepAlive = true;

  /** HTTP/2 has none. */
  get statusMessage(): string {
    return "";
  }

  set statusMessage(_given: string) {}

  get writableNeedDrain(): boolean {
    return this.stream.writableNeedDrain;
  }

  get destroyed(): boolean {
    return this.stream.destroyed;
  }

  override writeHead(status: number, ...rest: unknown[]): this {
    const given = rest.find((each) => typeof each === "object" && each !== null);
    super.writeHead(status, withoutConnectionHeaders(given as readonly string[] | object | undefined));
    return this;
  }

  destroy(): this {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }

  /** Node says "finish" of every answer that ends, also of one that was never sent in full. */
  override emit(event: string | symbol, ...given: unknown[]): boolean {
    if (event === "finish" && !this.stream.writableFinished) return false;
    return super.emit(event, ...given);
  }
}

const colon = 0x3a;

/** Headers about the connection make an answer malformed (RFC 9113, 8.2.2). */
const connectionHeaders: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

function withoutConnectionHeaders(
  headers: readonly string[] | object | undefined,
): readonly string[] | object | undefined {
  if (!Array.isArray(headers)) {
    if (!headers || !Object.keys(headers).some(isConnectionHeader)) return headers;
    return Object.fromEntries(Object.entries(headers).filter(([name]) => !isConnectionHeader(name)));
  }
  if (!headers.some((each, i) => i % 2 === 0 && isConnectionHeader(each))) return headers;
  const left: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!isConnectionHeader(headers[i])) left.push(headers[i], headers[i + 1]);
  }
  return left;
}

function isConnectionHeader(name: unknown): boolean {
  return typeof name === "string" && connectionHeaders.has(name.toLowerCase());
}

/** What is the same for all streams of a connection, and is asked of its socket. */
const socketFacts: ReadonlySet<string | symbol> = new Set([
  "alpnProtocol",
  "authorizationError",
  "authorized",
  "encrypted",
  "getCipher",
  "getPeerCertificate",
  "getPeerX509Certificate",
  "getProtocol",
  "localAddress",
  "localPort",
  "remoteAddress",
  "remoteFamily",
  "remotePort",
  "servername",
]);

/** A stream as the socket of one request: it lives, waits and ends as the stream does, and knows who the client is. */
function streamSocket(stream: ServerHttp2Stream): Socket {
  // Kept: a stream that has ended does not know its connection any more, and the access log asks after it.
  const socket = stream.session?.socket as TLSSocket | undefined;
  return new Proxy(stream, {
    get(target, name) {
      const owner: object | undefined = socketFacts.has(name) ? socket : target;
      const value: unknown = owner && Reflect.get(owner, name, owner);
      return typeof value === "function" ? value.bind(owner) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  }) as unknown as Socket;
}
