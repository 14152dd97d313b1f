import type { PlinthError } from "../base/index.ts";
import { overloaded } from "../resilience/index.ts";
import { HttpError, httpPhrase, httpStatusOf, retryAfterOf, stringifyProblem, toProblem } from "../wire/index.ts";
import type { EdgeOf } from "./edge.ts";
import type { Asking } from "./extras.ts";
import { headFor } from "./extras.ts";
import type { HeadTemplate } from "./head.ts";
import { retryAfterShed } from "./shed-answer.ts";

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

interface Refused extends Asking {
  readonly edge: Asking["edge"] & Pick<EdgeOf<never>, "challenge" | "overload" | "refusalHead">;
}

/** The head of a problem answer to a request: when to come back, and how to sign in, where that is what is missing. */
export function refusalHead(exchange: Refused, status: number, failure: PlinthError, bodyBytes: number): string[] {
  const { edge, headers } = exchange;
  const head = headFor(exchange, edge.refusalHead, bodyBytes);
  const retryAfter = retryAfterOf(failure);
  if (retryAfter !== undefined) head.push("retry-after", retryAfter);
  else if (failure.reason === overloaded.reason) head.push("retry-after", retryAfterShed(edge.overload));
  const own = failure instanceof HttpError ? failure.headers : {};
  for (const name of Object.keys(own)) head.push(name, own[name] as string);
  if (own["www-authenticate"] === undefined) {
    const challenge = edge.challenge(status, failure, headers.authorization);
    if (challenge !== undefined) head.push("www-authenticate", challenge);
  }
  return head;
}
