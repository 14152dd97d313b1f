import type { RequestListener, Server, ServerOptions } from "node:http";
import { createServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Metrics } from "../../telemetry/index.ts";
import type { Http2Sessions } from "../http2/http2.ts";
import type { GatewayTls } from "./tls.ts";

export interface TlsServerParts {
  readonly tls: GatewayTls;
  /** Undefined where HTTP/2 is not spoken. */
  readonly http2: Http2Sessions | undefined;
  readonly handshakeMs: number;
  readonly metrics: Metrics | undefined;
}

/**
 * A server that speaks TLS and, as agreed in the handshake (ALPN), HTTP/2 or HTTP/1.1. Whoever offers no protocol gets
 * HTTP/1.1; whoever offers only others is refused in the handshake. In all else it is the server of `node:http`.
 */
export function createTlsServer(options: ServerOptions, listener: RequestListener, parts: TlsServerParts): Server {
  const { tls, http2, handshakeMs, metrics } = parts;
  const server = createServer(
    {
      ...options,
      ...tls.serverOptions,
      ALPNProtocols: http2 ? ["h2", "http/1.1"] : ["http/1.1"],
      handshakeTimeout: handshakeMs,
    },
    listener,
  );
  const stopListening = tls.onChange((context) => server.setSecureContext(context));
  server.once("close", stopListening);
  // Node's own listener speaks HTTP/1.1 on whatever comes.
  const [speakHttp1] = server.listeners("secureConnection") as ((socket: TLSSocket) => void)[];
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    // Optional, but not wrong: a certificate that is shown comes from the authority.
    if (tls.asksClients && !socket.authorized && hasShown(socket)) socket.destroy();
    else if (http2 && socket.alpnProtocol === "h2") http2.take(socket);
    else speakHttp1?.call(server, socket);
  });
  const failures = metrics?.counter("plinth_gateway_handshake_failures_total", "TLS handshakes that failed.").with();
  // Nobody is there who could read an answer: without a handshake there is no way to say anything.
  server.removeAllListeners("tlsClientError");
  server.on("tlsClientError", (_fault: Error, socket: Socket) => {
    failures?.add();
    socket.destroy();
  });
  // What is used of it by `server.ts` is the same in both.
  return server as unknown as Server;
}

function hasShown(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate(false) ?? {}).length > 0;
}
