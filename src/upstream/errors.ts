import type { Executed } from "../base/index.ts";
import { error, PlinthError } from "../base/index.ts";
import { HttpError } from "../wire/index.ts";

/** What the gateway answers when no target did. The target's address is for the log, never for the client. */

const soon = { retry: 1000, headers: {} } as const;

/** UPSTREAM_UNAVAILABLE: no target can take the request: none is known, all are tried or full, or this process is leaving. */
export const upstreamUnavailable = (name: string, executed: Executed = "no"): HttpError =>
  new HttpError(503, "unavailable", `"${name}" cannot take the request at the moment.`, {
    ...soon,
    reason: "UPSTREAM_UNAVAILABLE",
    executed,
  });

/** UPSTREAM_BUSY: as many requests or tunnels are under way as may be. Raise its limits if it can bear more. */
export const upstreamBusy = (name: string, limit: number): HttpError =>
  new HttpError(503, "resource_exhausted", `Too many requests to "${name}" are under way (limit ${limit}).`, {
    ...soon,
    reason: "UPSTREAM_BUSY",
    details: { limit },
  });

/** UPSTREAM_UNREACHABLE: no connection to the target: name, port, certificate or network. */
export const upstreamUnreachable = (name: string, target: string, cause: PlinthError): HttpError =>
  new HttpError(502, "unavailable", `"${name}" cannot be reached.`, {
    reason: "UPSTREAM_UNREACHABLE",
    detail: { target },
    cause,
  });

/** UPSTREAM_CONNECT_TIMEOUT: the target, or a firewall before it, did not answer the attempt to connect. */
export const upstreamConnectTimeout = (name: string, target: string, cause: PlinthError): HttpError =>
  new HttpError(504, "unavailable", `"${name}" cannot be reached in time.`, {
    reason: "UPSTREAM_CONNECT_TIMEOUT",
    detail: { target },
    cause,
  });

/** UPSTREAM_BROKEN: the target broke the connection off, or what it sent was no HTTP. */
export const upstreamBroken = (name: string, target: string, cause: unknown): HttpError =>
  new HttpError(502, "unavailable", `"${name}" broke off before it had answered.`, {
    reason: "UPSTREAM_BROKEN",
    executed: "maybe",
    detail: { target },
    cause,
  });

/** UPSTREAM_TIMEOUT: the target did not begin its answer in time. */
export const upstreamTimeout = (name: string, target: string, executed: Executed): HttpError =>
  new HttpError(504, "deadline_exceeded", `"${name}" did not answer in time.`, {
    reason: "UPSTREAM_TIMEOUT",
    executed,
    detail: { target },
  });

/** REQUEST_BODY_BROKEN: what the client sent of its body broke off. Says nothing of the target. */
export const requestBodyBroken = (cause: Error): PlinthError =>
  cause instanceof PlinthError
    ? cause
    : error("cancelled", "The request's body broke off.", { reason: "REQUEST_BODY_BROKEN", cause });

/** UPSTREAM_STALLED: the target stood still within its answer. */
export const upstreamStalled = (name: string, target: string): HttpError =>
  new HttpError(504, "deadline_exceeded", `"${name}" stood still within its answer.`, {
    reason: "UPSTREAM_STALLED",
    executed: "yes",
    detail: { target },
  });

/** UPSTREAM_ANSWER_TOO_LARGE: the body is over `limits.answerBody` of the upstream. */
export const upstreamAnswerTooLarge = (name: string, target: string, limitBytes: number): HttpError =>
  new HttpError(502, "internal", `The answer of "${name}" is larger than may be passed on.`, {
    reason: "UPSTREAM_ANSWER_TOO_LARGE",
    executed: "yes",
    detail: { target, limitBytes },
  });

/** UPSTREAM_LOOP: the request has passed here too often: a target leads back to this gateway. */
export const upstreamLoop = (name: string): HttpError =>
  new HttpError(508, "failed_precondition", `The request to "${name}" goes round in a circle.`, {
    reason: "UPSTREAM_LOOP",
  });
