import type { Executed, Json } from "../base/index.ts";
import { isErrorCode, PlinthError } from "../base/index.ts";
import { codeOfHttpStatus, executedOfHttpStatus, httpPhrase, httpStatusOf, parseRetryAfter } from "./status.ts";

/**
 * Errors as RFC 9457 problem details, both ways.
 *
 * Promises: `status` equals the status of the answer; `detail` is the error's public message and nothing else of it;
 * `cause` and `detail` of the error never leave. `type` is `urn:plinth:error:REASON`, a registered one where there is one, or
 * "about:blank" when the reason says no more than the code. What `details` holds becomes members beside these; a name that the document uses itself
 * keeps the document's meaning.
 *
 * Limits: a document is at most 256 KiB; above, and for details that are no JSON, the details are left out. A foreign
 * document is read up to 1 MiB of text, its message up to 1,000 characters.
 */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly reason: string;
  readonly code: string;
  readonly executed?: Executed;
  readonly instance?: string;
  readonly traceId?: string;
  readonly [extension: string]: unknown;
}

export const problemContentType = "application/problem+json";

const typePrefix = "urn:plinth:error:";
const reducedCapacity = {
  type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
  title: "Request cannot be satisfied due to temporary server capacity constraints",
} as const;
/** Reasons for which there is a type that all servers share. */
const registeredTypes: Readonly<Record<string, { readonly type: string; readonly title: string }>> = {
  // draft-ietf-httpapi-ratelimit-headers, 5.1.
  QUOTA_EXCEEDED: {
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    title: "Request cannot be satisfied as assigned quota has been exceeded",
  },
  // The same, 5.2.
  OVERLOADED: reducedCapacity,
  GATEWAY_FULL: reducedCapacity,
};
const ownMembers: ReadonlySet<string> = new Set([
  "type",
  "title",
  "status",
  "detail",
  "reason",
  "code",
  "executed",
  "instance",
  "traceId",
  "__proto__",
]);
const documentCharsMax = 256 * 1024;
const foreignCharsMax = 1024 * 1024;
const messageCharsMax = 1000;

export interface ProblemPlace {
  /** A URI reference that names this occurrence, such as the path of the request. */
  instance?: string | undefined;
  traceId?: string | undefined;
}

export function toProblem(error: PlinthError, place: ProblemPlace = {}): Problem {
  const status = httpStatusOf(error);
  const isPlain = error.reason === error.code.toUpperCase();
  const registered = Object.hasOwn(registeredTypes, error.reason) ? registeredTypes[error.reason] : undefined;
  const problem: Record<string, unknown> = {
    type: isPlain ? "about:blank" : (registered?.type ?? typePrefix + encodeURIComponent(error.reason)),
    title: isPlain ? httpPhrase(status) : (registered?.title ?? titleOf(error.reason)),
    status,
    detail: error.message,
    reason: error.reason,
    code: error.code,
  };
  if (error.executed !== "maybe") problem.executed = error.executed;
  if (place.instance !== undefined) problem.instance = place.instance;
  if (place.traceId !== undefined) problem.traceId = place.traceId;
  if (error.details) {
    for (const name of Object.keys(error.details)) if (!ownMembers.has(name)) problem[name] = error.details[name];
  }
  return problem as unknown as Problem;
}

/**
 * The document as JSON text that is also harmless inside HTML and scripts: `<`, `>`, `&`, U+2028 and U+2029 are escaped.
 * Never throws.
 */
export function stringifyProblem(problem: Problem): string {
  const text = toText(problem);
  if (text !== undefined && text.length <= documentCharsMax) return text;
  const bare: Record<string, unknown> = {};
  for (const name of Object.keys(problem)) if (ownMembers.has(name)) bare[name] = problem[name];
  bare.detail = problem.detail.slice(0, messageCharsMax);
  return toText(bare) ?? '{"type":"about:blank","title":"Internal Server Error","status":500}';
}

export interface ProblemSource {
  /** The value of the `Retry-After` header. */
  retryAfter?: string | undefined;
  /** Milliseconds since 1970, to which a date in `Retry-After` is compared. Needed only for dates. */
  wallNowMs?: number | undefined;
}

/**
 * The error that an HTTP answer means. `body` is the text or the parsed value; anything is accepted: a foreign problem
 * document, our own, other JSON, HTML, nothing. Members of the wrong type are ignored (RFC 9457, 3.1).
 *
 * Only our own documents, and foreign 4xx that carry a `detail` or `title`, speak to our caller; the rest goes to the log
 * (the error's `detail`).
 */
export function fromProblem(status: number, body: unknown, source: ProblemSource = {}): PlinthError {
  const document = asRecord(typeof body === "string" ? parseText(body) : body);
  const isOwn = isErrorCode(document.code) && typeof document.reason === "string";
  const code = isErrorCode(document.code) ? document.code : codeOfHttpStatus(status);
  const retryAfterMs = parseRetryAfter(source.retryAfter, source.wallNowMs ?? 0);
  const text = stringMember(document, "detail") ?? stringMember(document, "title");
  const tellsCaller = isOwn || (status < 500 && text !== undefined);
  return new PlinthError(code, (tellsCaller ? text : undefined) ?? fallbackMessage(status), {
    reason: reasonOf(document) ?? code.toUpperCase(),
    retry: retryAfterMs ?? (status === 502 || status === 503 || status === 425 || status === 429 ? "safe" : "never"),
    executed: executedMember(document) ?? executedOfHttpStatus(status),
    ...detailsOf(document, tellsCaller),
    detail: { httpStatus: status, body: typeof body === "string" ? body.slice(0, messageCharsMax) : body },
  });
}

/** `OUT_OF_STOCK` → "Out of stock". */
function titleOf(reason: string): string {
  const words = reason.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const escapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

function toText(document: object): string | undefined {
  try {
    return JSON.stringify(document).replace(/[<>&\u2028\u2029]/g, (char) => escapes[char] ?? char);
  } catch {
    // A cycle, a BigInt or a toJSON that throws: the caller still gets a document.
    return undefined;
  }
}

function parseText(text: string): unknown {
  if (text.length > foreignCharsMax) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function stringMember(document: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = document[name];
  return typeof value === "string" && value !== "" ? value.slice(0, messageCharsMax) : undefined;
}

function executedMember(document: Readonly<Record<string, unknown>>): Executed | undefined {
  const value = document.executed;
  return value === "no" || value === "maybe" || value === "yes" ? value : undefined;
}

function reasonOf(document: Readonly<Record<string, unknown>>): string | undefined {
  const type = stringMember(document, "type");
  const named = stringMember(document, "reason") ?? (type?.startsWith(typePrefix) ? type.slice(typePrefix.length) : "");
  return /^[A-Z][A-Z0-9_]{0,99}$/.test(named) ? named : undefined;
}

function detailsOf(document: Readonly<Record<string, unknown>>, isPublic: boolean): { details?: Record<string, Json> } {
  const names = isPublic ? Object.keys(document).filter((name) => !ownMembers.has(name)) : [];
  if (names.length === 0) return {};
  return { details: Object.fromEntries(names.map((name) => [name, document[name] as Json])) };
}

function fallbackMessage(status: number): string {
  return status >= 500 ? "The called service failed." : `The called service answered ${status} ${httpPhrase(status)}.`;
}
