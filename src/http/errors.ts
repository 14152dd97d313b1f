import type { Executed, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";

/** HTTP_UNREACHABLE: no connection to the outside service: name, port, certificate or network. */
export function httpUnreachable(cause: Error): PlinthError {
  return error("unavailable", "The service cannot be reached.", { reason: "HTTP_UNREACHABLE", executed: "no", cause });
}

/** HTTP_CONNECT_TIMEOUT: the outside service, or a firewall before it, did not answer the attempt to connect. */
export function httpConnectTimeout(cause: Error): PlinthError {
  return error("unavailable", "The service cannot be reached in time.", {
    reason: "HTTP_CONNECT_TIMEOUT",
    executed: "no",
    cause,
  });
}

/** HTTP_CONNECTION_LOST: the connection ended, or what came was no HTTP, after the request was sent. */
export function httpConnectionLost(cause: Error): PlinthError {
  return error("unavailable", "The connection to the service was lost.", { reason: "HTTP_CONNECTION_LOST", cause });
}

/** HTTP_REQUEST_UNSENDABLE: a header or path that HTTP does not allow. Look at what sets the headers of this call. */
export function requestUnsendable(cause: Error): PlinthError {
  return error("internal", "The call could not be sent.", { reason: "HTTP_REQUEST_UNSENDABLE", executed: "no", cause });
}

/** HTTP_CLOSED: this process is shutting down and has closed its connections. */
export function httpClosed(executed: Executed): PlinthError {
  return error("unavailable", "This process is shutting down.", { reason: "HTTP_CLOSED", retry: "never", executed });
}

/** HTTP_ANSWER_UNREADABLE: the outside service's answer is not what was agreed on with it. It was executed. */
export function answerUnreadable(detail: string, cause?: unknown): PlinthError {
  return error("internal", "The called service's answer could not be read.", {
    reason: "HTTP_ANSWER_UNREADABLE",
    executed: "yes",
    detail,
    cause,
  });
}

/** HTTP_EGRESS_DENIED: the address is none that may be called. Name the host in `allow` of `egress` if it may. */
export function egressDenied(detail: string): PlinthError {
  return error("permission_denied", "This address may not be called from here.", {
    reason: "HTTP_EGRESS_DENIED",
    executed: "no",
    detail,
  });
}
