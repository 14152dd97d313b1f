import { hash } from "node:crypto";
import type { CallContext, CallScope, PlinthError, Principal } from "../base/index.ts";
import { anonymous, error, isError } from "../base/index.ts";
import type { Cache, LoadSource } from "../cache/index.ts";
import { toJsonText } from "../cache/index.ts";
import { addNotes, KeptAnswers } from "./kept-answer.ts";
import type { Operation } from "./operation.ts";

/**
 * Answers of a method, kept in the cache of its service (`cache:` in its contract). The call's access was checked before:
 * what is kept is only the work of the handler.
 *
 * Entries are told apart by method and its version, request and who asks, claims included. A public method has one answer
 * for all, made as if nobody were signed in, unless its `cache:` says `private`. A declared `not_found` is kept as well, for a short time; no other error is. Of those who want the same
 * answer at the same time, one handler works. An answer that is still the same is the same object for all who get it, frozen
 * (`kept-answer.ts`): a caller in this process gets a copy from its link, and the gateway writes it once.
 */
export type Handle = (request: unknown, context: CallContext) => unknown;

interface Kept {
  /** The answer. */
  readonly a?: unknown;
  /** A declared `not_found`. */
  readonly e?: Pick<PlinthError, "reason" | "message"> & { readonly details?: Readonly<Record<string, unknown>> };
}

const plainKeyBytesMax = 256;

export function cacheResponses(operation: Operation, handle: Handle, cache: Cache): Handle {
  const { cache: plan, response, errors } = operation;
  if (!plan || !response) return handle;
  const isShared = operation.access === "public" && !plan.private;
  const keyOf = compileKey(operation, isShared);
  const kept = new KeptAnswers<Kept>();
  const toKept = async (request: unknown, call: CallContext, { primary }: LoadSource): Promise<Kept> => {
    // What all will get is made for nobody in particular, and a fresh answer is not made of what a replica still has.
    const context = isShared ? call.child({ principal: anonymous }) : call;
    if (primary) context.position.demandCurrent();
    try {
      return { a: response.copy(await handle(request, context)) };
    } catch (thrown) {
      if (!isError(thrown) || thrown.code !== "not_found" || errors.get(thrown.reason) !== "not_found") throw thrown;
      const { reason, message, details } = thrown;
      return { e: { reason, message, ...(details && { details }) } };
    } finally {
      if (context !== call) (context as CallScope).finish();
    }
  };
  return async (request, context) => {
    const key = keyOf(request, context);
    const text = await cache
      .bind(context)
      .getOrLoadText(key, async (source) => toJsonText(await toKept(request, context, source)), {
        ttl: plan.ttlMs,
        isNone,
        tags: plan.tagsOf?.(request) ?? [],
        ...(plan.staleMs !== undefined && { stale: plan.staleMs }),
        ...(plan.staleIfErrorMs !== undefined && { staleIfError: plan.staleIfErrorMs }),
      });
    const { a: answer, e: failure } = kept.read(key, text);
    if (!failure) {
      if (typeof answer === "object" && answer !== null) addNotes(answer);
      return answer;
    }
    const { message, ...options } = failure;
    throw error("not_found", message, { ...options, executed: "yes" });
  };
}

/** `Kept` as text: a declared `not_found`. */
function isNone(text: string): boolean {
  return text.startsWith('{"e":');
}

function compileKey(
  { name, request, response }: Operation,
  isShared: boolean,
): (message: unknown, context: CallContext) => string {
  // Versions with another answer keep theirs apart: in a rolling deploy both are at work.
  const version = hash("sha256", JSON.stringify(response?.outputJsonSchema), "base64url").slice(0, 8);
  return (message, { principal }) => {
    const asked = request.stringify(message);
    const who = isShared ? "" : whoText(principal);
    const text = `${who}${asked}`;
    const short = Buffer.byteLength(text) <= plainKeyBytesMax ? text : hash("sha256", text, "base64url");
    return `plinth:${name}:${version}:${short}`;
  };
}

/** All that a handler can see of who asks, but for what names a single token. */
function whoText({ kind, subject, scopes, claims }: Principal): string {
  const { jti: _token, iat: _issued, exp: _expires, nbf: _from, ...lasting } = claims;
  return JSON.stringify([kind, subject, scopes, lasting]);
}
