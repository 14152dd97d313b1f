import type { PlinthError } from "../base/index.ts";
import { error, StartError } from "../base/index.ts";
import { HttpError } from "../wire/index.ts";

/** What the edge itself can answer. Each reason stands once; the remedy is in the message. */

/** ROUTE_NOT_FOUND: no route, mount or page has this path. */
export const routeNotFound = (): HttpError =>
  new HttpError(404, "not_found", "There is nothing at this path.", { reason: "ROUTE_NOT_FOUND" });

/** HOST_UNKNOWN: the request is for a host that is not served here. */
export const hostUnknown = (): HttpError =>
  new HttpError(421, "not_found", "This host is not served here.", { reason: "HOST_UNKNOWN" });

/** METHOD_NOT_ALLOWED: the path exists with other methods, named in `Allow`. */
export const methodNotAllowed = (allow: string): HttpError =>
  new HttpError(405, "unimplemented", `This path takes ${allow}.`, {
    reason: "METHOD_NOT_ALLOWED",
    headers: { allow },
  });

/** METHOD_NOT_IMPLEMENTED: no path has this HTTP method. */
export const methodNotImplemented = (): HttpError =>
  new HttpError(501, "unimplemented", "This HTTP method is not implemented here.", {
    reason: "METHOD_NOT_IMPLEMENTED",
  });

/** URL_MALFORMED: the target or its percent-encoding cannot be read. */
export const urlMalformed = (what: string): HttpError =>
  new HttpError(400, "invalid_argument", `The URL is malformed: ${what}.`, { reason: "URL_MALFORMED" });

/** URL_TOO_LONG */
export const urlTooLong = (limit: number): HttpError =>
  new HttpError(414, "invalid_argument", `The URL is longer than ${limit} characters.`, {
    reason: "URL_TOO_LONG",
    details: { limit },
  });

/** PLAIN_HTTP_REFUSED: never redirected, or a client would go on to send its token in the open, unnoticed. */
export const plainHttpRefused = (): HttpError =>
  new HttpError(403, "permission_denied", "This API is served over TLS only; write https.", {
    reason: "PLAIN_HTTP_REFUSED",
  });

/** REQUEST_MALFORMED: what arrived is no HTTP request, or one that two readers could understand in two ways. */
export const requestMalformed = (what: string): HttpError =>
  new HttpError(400, "invalid_argument", `The request is malformed: ${what}.`, { reason: "REQUEST_MALFORMED" });

/** HEADERS_TOO_LARGE */
export const headersTooLarge = (limitBytes: number): HttpError =>
  new HttpError(431, "invalid_argument", `The request's headers are larger than ${limitBytes} bytes.`, {
    reason: "HEADERS_TOO_LARGE",
    details: { limitBytes },
  });

/** REQUEST_TIMEOUT: the request did not arrive in time. */
export const requestTimeout = (): HttpError =>
  new HttpError(408, "deadline_exceeded", "The request did not arrive in time.", {
    reason: "REQUEST_TIMEOUT",
    retry: "safe",
  });

/** HTTP_VERSION_NOT_SUPPORTED: HTTP/1.0 and HTTP/1.1 are spoken here. */
export const versionNotSupported = (): HttpError =>
  new HttpError(505, "unimplemented", "HTTP/1.1 is spoken here.", { reason: "HTTP_VERSION_NOT_SUPPORTED" });

/** EXPECTATION_FAILED: the only expectation that can be met is 100-continue. */
export const expectationFailed = (): HttpError =>
  new HttpError(417, "invalid_argument", "The only expectation that can be met is 100-continue.", {
    reason: "EXPECTATION_FAILED",
  });

/** TRANSFER_CODING_UNKNOWN: a body comes plain or chunked. */
export const transferCodingUnknown = (): HttpError =>
  new HttpError(501, "unimplemented", "The only transfer coding known here is chunked.", {
    reason: "TRANSFER_CODING_UNKNOWN",
  });

/** NOT_ACCEPTABLE: the `Accept` header leaves out everything that could be answered. */
export const notAcceptable = (offered: string): HttpError =>
  new HttpError(406, "invalid_argument", `What can be answered is ${offered}; the Accept header takes none of it.`, {
    reason: "NOT_ACCEPTABLE",
    details: { offered },
  });

/** LENGTH_REQUIRED: a body is needed, and its length must be told. */
export const lengthRequired = (): HttpError =>
  new HttpError(411, "invalid_argument", "A body is needed: send Content-Length, or Transfer-Encoding: chunked.", {
    reason: "LENGTH_REQUIRED",
  });

/** BODY_TOO_LARGE */
export const bodyTooLarge = (limitBytes: number): HttpError =>
  new HttpError(413, "invalid_argument", `The body is larger than ${limitBytes} bytes.`, {
    reason: "BODY_TOO_LARGE",
    details: { limitBytes },
  });

/** BODY_UNEXPECTED: GET, HEAD and DELETE take their fields from the query string. */
export const bodyUnexpected = (method: string): HttpError =>
  new HttpError(400, "invalid_argument", `${method} takes its fields from the query string; send it without a body.`, {
    reason: "BODY_UNEXPECTED",
  });

/** QUERY_UNEXPECTED: a field of the message stands where a request with a body has none. */
export const queryUnexpected = (method: string, field: string): HttpError =>
  new HttpError(
    400,
    "invalid_argument",
    `${method} takes its fields from the JSON body; send "${field}" there and not in the query string.`,
    { reason: "QUERY_UNEXPECTED", details: { field } },
  );

/** BODY_NOT_UTF8 */
export const bodyNotUtf8 = (): HttpError =>
  new HttpError(400, "invalid_argument", "The body is not valid UTF-8.", { reason: "BODY_NOT_UTF8" });

/** JSON_MALFORMED: says where. */
export const jsonMalformed = (expected: string, place: { position: number; line: number; column: number }): HttpError =>
  new HttpError(
    400,
    "invalid_argument",
    `The body is not valid JSON: expected ${expected} at line ${place.line}, column ${place.column}.`,
    { reason: "JSON_MALFORMED", details: { ...place, expected } },
  );

/** JSON_TOO_DEEP */
export const jsonTooDeep = (limit: number): HttpError =>
  new HttpError(400, "invalid_argument", `The body is nested deeper than ${limit} levels.`, {
    reason: "JSON_TOO_DEEP",
    details: { limit },
  });

/** MEDIA_TYPE_UNSUPPORTED: the body's type, charset or content coding. */
export const mediaTypeUnsupported = (what: string, headers: Readonly<Record<string, string>>): HttpError =>
  new HttpError(415, "invalid_argument", what, { reason: "MEDIA_TYPE_UNSUPPORTED", headers });

/** IDEMPOTENCY_KEY_INVALID */
export const idempotencyKeyInvalid = (lengthMax: number): HttpError =>
  new HttpError(
    400,
    "invalid_argument",
    `Idempotency-Key is a quoted string of 1 to ${lengthMax} visible ASCII characters.`,
    { reason: "IDEMPOTENCY_KEY_INVALID" },
  );

/** QUOTA_EXCEEDED: quotas of the caller are used up; `violated-policies` names them. Nothing was executed. */
export const quotaExceeded = (names: readonly string[], retrySeconds: number): PlinthError =>
  error("resource_exhausted", `The quota is used up: ${names.join(", ")}.`, {
    reason: "QUOTA_EXCEEDED",
    details: { "violated-policies": names },
    // What costs more than there ever is need not be tried again.
    retry: Number.isFinite(retrySeconds) ? retrySeconds * 1000 : "never",
    executed: "no",
  });

/** LIMIT_COST_INVALID: the app's own function gave a cost that is no number from 0. */
export const limitCostInvalid = (name: string, cost: unknown): PlinthError =>
  error("internal", "What the request costs could not be found out.", {
    reason: "LIMIT_COST_INVALID",
    detail: { limit: name, cost: String(cost) },
    executed: "no",
  });

/** CACHE_EMPTY: the request wants only what is kept, and nothing that fits is (RFC 9111, 5.2.1.7). */
export const cacheEmpty = (): HttpError =>
  new HttpError(504, "unavailable", "Nothing is kept that answers this.", { reason: "CACHE_EMPTY" });

/** GATEWAY_FULL: too many requests run at the same time. Nothing was executed. */
export const overloaded = (): PlinthError =>
  error("unavailable", "The server is busy. Try again shortly.", {
    reason: "GATEWAY_FULL",
    retry: 1000,
    executed: "no",
  });

/** NOT_SERVING: the process has not started yet, or has stopped, and is still handed requests. Nothing was executed. */
export const notServing = (): PlinthError =>
  error("unavailable", "The server takes no requests now. Try again shortly.", {
    reason: "NOT_SERVING",
    retry: 1000,
    executed: "no",
  });

/** SHUTTING_DOWN: the process ends before the request could. */
export const shuttingDown = (): PlinthError =>
  error("unavailable", "The server is shutting down. Try again.", { reason: "SHUTTING_DOWN", retry: 1000 });

/** CLIENT_GONE: for the log and for handlers; nobody is there to read it. */
export const clientGone = (): PlinthError =>
  error("cancelled", "The client went away.", { reason: "CLIENT_GONE", executed: "maybe" });

/** ROUTE_COLLISION, PORT_IN_USE and the rest stop the start. */
export const wrongGateway = (reason: string, problems: string | readonly string[], cause?: unknown): StartError =>
  new StartError(reason, problems, cause === undefined ? undefined : { cause });
