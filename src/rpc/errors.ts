import type { Executed, PlinthError } from "../base/index.ts";
import { error, isError } from "../base/index.ts";

/** RPC_UNREACHABLE: no connection to any address. Start the service, or correct its address. */
export function unreachable(addresses: readonly string[], cause: unknown): PlinthError {
  return error("unavailable", "The service cannot be reached.", {
    reason: "RPC_UNREACHABLE",
    executed: "no",
    detail: { addresses },
    cause,
  });
}

/** RPC_CONNECTION_LOST: the connection ended with the call in flight. `no` when the call had not left this process. */
export function connectionLost(executed: Executed, cause: unknown): PlinthError {
  return error("unavailable", "The connection to the service was lost.", {
    reason: "RPC_CONNECTION_LOST",
    executed,
    cause,
  });
}

/** RPC_SECRET_REFUSED: the two sides have different secrets. Give both the same; the cause says who refused. */
export function secretRefused(by: string): PlinthError {
  return error("unavailable", "The service cannot be reached.", {
    reason: "RPC_SECRET_REFUSED",
    retry: "never",
    executed: "no",
    detail: `${by} refused the other's proof of the shared secret`,
  });
}

/** RPC_VERSION_REFUSED: the two sides speak no common version of the protocol. Deploy versions next to each other. */
export function versionRefused(detail: string): PlinthError {
  return error("unavailable", "The service cannot be reached.", {
    reason: "RPC_VERSION_REFUSED",
    retry: "never",
    executed: "no",
    detail,
  });
}

/** RPC_PROTOCOL_BROKEN: the peer sent what the protocol does not allow at this place. It is broken, or no peer of ours. */
export function protocolBroken(detail: string): PlinthError {
  return error("unavailable", "The connection to the service was lost.", {
    reason: "RPC_PROTOCOL_BROKEN",
    executed: "maybe",
    detail,
  });
}

/** RPC_PEER_SILENT: nothing was heard for 10 to 15 s, pings included: the machine or the network is gone. */
export function peerSilent(): PlinthError {
  return error("unavailable", "The service does not answer.", { reason: "RPC_PEER_SILENT" });
}

/** RPC_HANDSHAKE_TIMEOUT: connected, but the handshake was not done in time. */
export function handshakeTimeout(limitMs: number): PlinthError {
  return error("unavailable", "The service does not answer.", {
    reason: "RPC_HANDSHAKE_TIMEOUT",
    executed: "no",
    detail: `no handshake within ${limitMs} ms`,
  });
}

/** RPC_QUEUE_FULL: too many calls wait for a connection. */
export function queueFull(queuedMax: number, cause: unknown): PlinthError {
  return error("unavailable", "The service cannot be reached.", {
    reason: "RPC_QUEUE_FULL",
    executed: "no",
    detail: `${queuedMax} calls wait for a connection already`,
    cause,
  });
}

/** RPC_CLIENT_BUSY: every connection has as many calls, or as many unsent bytes, as it may. Send less, or later. */
export function clientBusy(): PlinthError {
  return error("resource_exhausted", "Too many calls to this service are in flight.", {
    reason: "RPC_CLIENT_BUSY",
    retry: "safe",
    executed: "no",
  });
}

/** RPC_SERVER_BUSY: the server runs as many calls as it may. Another instance may have room. */
export function serverBusy(callCountMax: number): PlinthError {
  return error("resource_exhausted", "The service has too many calls in flight.", {
    reason: "RPC_SERVER_BUSY",
    retry: "safe",
    executed: "no",
    details: { limit: callCountMax },
  });
}

/** RPC_METHOD_UNKNOWN: the server does not have the method. It is of another version, or the address is another service's. */
export function methodUnknown(id: string): PlinthError {
  return error("unimplemented", `The service does not have the method ${id}.`, {
    reason: "RPC_METHOD_UNKNOWN",
    executed: "no",
  });
}

/** RPC_CLOSED: the client was closed. */
export function clientClosed(executed: Executed): PlinthError {
  return error("unavailable", "This process is shutting down.", { reason: "RPC_CLOSED", retry: "never", executed });
}

/** RPC_SERVER_STOPPED: the server stopped while the call ran. */
export function serverStopped(): PlinthError {
  return error("unavailable", "The service is shutting down.", { reason: "RPC_SERVER_STOPPED" });
}

/** RPC_CALLER_GONE: the caller cancelled, or its connection ended. */
export function callerGone(): PlinthError {
  return error("cancelled", "The caller went away.", { reason: "RPC_CALLER_GONE" });
}

/** RPC_PRINCIPAL_TOO_LARGE: the claims of the caller are more than may travel with a call. Put fewer into the token. */
export function principalTooLarge(limitBytes: number): PlinthError {
  return error("invalid_argument", "The caller's token carries too many claims.", {
    reason: "RPC_PRINCIPAL_TOO_LARGE",
    executed: "no",
    details: { limitBytes },
  });
}

/** RPC_RESPONSE_UNSENDABLE: what the handler returned does not fit its schema, or the frame limit. The work was done. */
export function responseUnsendable(cause: unknown): PlinthError {
  const detail = isError(cause) ? `${cause.reason}: ${cause.message}` : undefined;
  return error("internal", "The service's answer could not be sent.", {
    reason: "RPC_RESPONSE_UNSENDABLE",
    executed: "yes",
    detail,
    cause,
  });
}

/** RPC_RESPONSE_UNREADABLE: the server's answer is no value of the agreed form. The work was done. */
export function responseUnreadable(cause: unknown): PlinthError {
  return error("internal", "The service's answer could not be read.", {
    reason: "RPC_RESPONSE_UNREADABLE",
    executed: "yes",
    cause,
  });
}
