import type { PlinthError } from "../base/index.ts";
import { HttpError, httpPhrase, httpStatusOf, stringifyProblem, toProblem } from "../wire/index.ts";
import type { HeadTemplate } from "./head.ts";

/**
 * The `WWW-Authenticate` of a refusal (RFC 6750, 3): always with 401, and with 403 when a scope is missing. Who sent no
 * token is told only the scheme; who sent a bad one is told that it is.
 */
export function challengeOf(status: number, failure: PlinthError, realm: string): string | undefined {
  if (failure instanceof HttpError && failure.headers["www-authenticate"] !== undefined) return undefined;
  if (status === 401) {
    const error = errorByReason[failure.reason];
    return error === undefined ? `Bearer realm="${realm}"` : `Bearer realm="${realm}", error="${error}"`;
  }
  if (status === 403 && failure.reason === "SCOPE_MISSING") {
    const scope = failure.details?.scope;
    const named = typeof scope === "string" && /^[\x21\x23-\x5b\x5d-\x7e ]+$/.test(scope) ? `, scope="${scope}"` : "";
    return `Bearer realm="${realm}", error="insufficient_scope"${named}`;
  }
  return undefined;
}

const errorByReason: Readonly<Record<string, string | undefined>> = {
  AUTHORIZATION_MALFORMED: "invalid_request",
  TOKEN_INVALID: "invalid_token",
  TOKEN_EXPIRED: "invalid_token",
};

/** A whole answer as bytes, for what never became a request. The connection closes after it. */
export function rawRefusal(failure: PlinthError, head: HeadTemplate, dateText: string): Buffer {
  const status = httpStatusOf(failure);
  const text = stringifyProblem(toProblem(failure));
  const lines = [`HTTP/1.1 ${status} ${httpPhrase(status)}`, `date: ${dateText}`, "connection: close"];
  for (let i = 2; i < head.length; i += 2) lines.push(`${head[i]}: ${head[i + 1]}`);
  if (failure instanceof HttpError)
    for (const [name, value] of Object.entries(failure.headers)) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(text)}`, "", text);
  return Buffer.from(lines.join("\r\n"));
}
