import type { Model, ModelMethod } from "../../app/index.ts";
import type { Clock } from "../../base/index.ts";
import { systemClock } from "../../base/index.ts";
import type { TokenRequest } from "../../identity/index.ts";
import type { Verdict, VerdictBuilder } from "../checkers/verdict.ts";
import { createVerdict } from "../checkers/verdict.ts";
import type { Credential } from "./access-case.ts";
import { credentials, expectationOf, meets } from "./access-case.ts";
import type { AccessRequest } from "./access-request.ts";
import { accessRequest } from "./access-request.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { sampleMessage } from "./sample-message.ts";

/**
 * Asks every method of an app, as its Model declares them, with every kind of credential, and looks at who got in. It
 * sends real requests, those of a right caller among them: run it on an app that was started for it.
 *
 * Promises: a method that answers somebody whom the Model keeps out is found; so is a path that answers a verb which no
 * method has. A method with a rule about an object is asked for an object that is there (`samples`), by its owner and by
 * a stranger who has every scope and role; without a sample the verdict is unknown, never good.
 *
 * Not seen: what a method does that it answers somebody rightly; whether a `can` is the rule that you meant.
 */
export interface AccessMatrixOptions {
  readonly model: Model;
  /** Of the gateway: `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly tokens: AccessTokens;
  /** By method id, `"orders.getOrder"`. */
  readonly samples?: Readonly<Record<string, AccessSample>>;
  readonly onRow?: (row: AccessRow) => void;
  readonly clock?: Clock;
}

/** A request that succeeds, and whose it is. */
export interface AccessSample {
  readonly request?: Readonly<Record<string, unknown>>;
  /** The token's subject, and claims that the rule looks at. Default: somebody. Scopes and roles are the method's. */
  readonly as?: TokenRequest;
}

export interface AccessRow {
  readonly method: string;
  readonly verb: string;
  readonly path: string;
  readonly credential: Credential | "no such method";
  readonly expected: string;
  readonly status: number;
  readonly holds: boolean;
}

export interface AccessReport {
  readonly verdict: Verdict;
  readonly rows: readonly AccessRow[];
}

const timeoutMs = 10_000;
const verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const somebody = "somebody";

export async function verifyAccess(options: AccessMatrixOptions): Promise<AccessReport> {
  const rows: AccessRow[] = [];
  const verdict = createVerdict("access");
  const note = (row: AccessRow): void => {
    rows.push(row);
    options.onRow?.(row);
    if (row.status === 429 || row.status === 503) {
      verdict.doubt(`${row.method}: ${row.credential}: it was refused for its rate (${row.status}), not for who asked`);
    } else if (!row.holds) {
      const kind = row.expected === "open" || row.expected === "done" ? "shut" : "open";
      verdict.find(kind, row.method, `${row.verb} ${row.path}, ${row.credential}: ${row.status}, not ${row.expected}`);
    }
  };
  const served = options.model.services.flatMap(({ name, methods }) =>
    methods.filter(({ http }) => http).map((method) => ({ id: `${name}.${method.name}`, method })),
  );
  for (const { id, method } of served) await askMethod(id, method, options, note, verdict);
  for (const path of new Set(served.map(({ method }) => method.http?.path as string))) {
    await askOtherVerbs(path, served, options, note);
  }
  verdict.count("methods", served.length);
  verdict.count("requests", rows.length);
  if (served.length === 0) verdict.doubt("the Model has no method with a route");
  return { verdict: verdict.end(), rows };
}

async function askMethod(
  id: string,
  method: ModelMethod,
  { url, tokens, samples = {}, clock = systemClock }: AccessMatrixOptions,
  note: (row: AccessRow) => void,
  verdict: VerdictBuilder,
): Promise<void> {
  const http = method.http as NonNullable<ModelMethod["http"]>;
  const sample = samples[id];
  const message = sample?.request ?? (sampleMessage(method.request) as Readonly<Record<string, unknown>>);
  const asked = { subject: somebody, scopes: method.scopes, roles: method.roles, ...sample?.as };
  if (method.object && !sample) {
    verdict.doubt(`${id}: its rule is about an object, and there is no sample of one; name one among the samples`);
  }
  for (const credential of credentials) {
    const expected = expectationOf(method, credential, sample !== undefined);
    if (expected === undefined) continue;
    const { status, reason } = await send(url, accessRequest(http, message), await tokens(credential, asked), clock);
    const isOwn = method.errors.some((declared) => declared.reason === reason);
    const holds = meets(expected, { status, isOwn });
    note({ method: id, verb: http.verb, path: http.path, credential, expected, status, holds });
  }
}

/** A verb that no method has at a path finds nobody, whoever asks. */
async function askOtherVerbs(
  path: string,
  served: readonly { readonly method: ModelMethod }[],
  { url, tokens, clock = systemClock }: AccessMatrixOptions,
  note: (row: AccessRow) => void,
): Promise<void> {
  const own = served.flatMap(({ method: { http } }) => (http && isAt(http.path, path) ? [http.verb] : []));
  const authorization = await tokens("right", { subject: somebody });
  for (const verb of verbs.filter((each) => !own.includes(each))) {
    const { status } = await send(url, accessRequest({ verb, path, params: [] }, {}), authorization, clock);
    const holds = status === 405 || status === 404;
    note({ method: path, verb, path, credential: "no such method", expected: "405", status, holds });
  }
}

/** Whether a request to `path`, with samples for its parameters, may find the route `other`. */
function isAt(other: string, path: string): boolean {
  const [left, right] = [other.split("/"), path.split("/")];
  if (left.includes("*")) return true;
  const isSame = (part: string, i: number) => part === right[i] || part.startsWith(":");
  return left.length === right.length && left.every(isSame);
}

async function send(
  url: string,
  { verb, target, body }: AccessRequest,
  authorization: string | undefined,
  clock: Clock,
): Promise<{ readonly status: number; readonly reason: string | undefined }> {
  const ending = new AbortController();
  const cancel = clock.after(timeoutMs, () => ending.abort());
  try {
    const answer = await fetch(`${url}${target}`, {
      method: verb,
      redirect: "manual",
      signal: ending.signal,
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body }),
    });
    const { status, headers } = answer;
    if (status >= 400 && headers.get("content-type")?.startsWith("application/problem+json")) {
      return { status, reason: ((await answer.json()) as { readonly reason?: string }).reason };
    }
    // A stream would go on.
    await answer.body?.cancel();
    return { status, reason: undefined };
  } finally {
    cancel();
  }
}
