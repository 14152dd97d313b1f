import { hash } from "node:crypto";
import type { CallContext, PlinthError } from "../base/index.ts";
import { error, isError } from "../base/index.ts";
import type { Cache } from "../cache/index.ts";
import type { Operation } from "./operation.ts";

/**
 * Answers of a method, kept in the cache of its service (`cache:` in its contract). The call's access was checked before:
 * what is kept is only the work of the handler.
 *
 * Entries are told apart by method, request and who asks. A public method has one answer for all, unless its `cache:` says
 * `private`. A declared `not_found` is kept as well, for a short time; no other error is. Of those who want the same
 * answer at the same time, one handler works.
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
  const keyOf = compileKey(operation);
  const toKept = async (request: unknown, context: CallContext): Promise<Kept> => {
    try {
      return { a: response.copy(await handle(request, context)) };
    } catch (thrown) {
      if (!isError(thrown) || thrown.code !== "not_found" || errors.get(thrown.reason) !== "not_found") throw thrown;
      const { reason, message, details } = thrown;
      return { e: { reason, message, ...(details && { details }) } };
    }
  };
  return async (request, context) => {
    const kept = await cache.bind(context).getOrLoad<Kept>(keyOf(request, context), () => toKept(request, context), {
      ttl: plan.ttlMs,
      isNone: (found) => found.e !== undefined,
      tags: plan.tagsOf?.(request) ?? [],
      ...(plan.staleMs !== undefined && { stale: plan.staleMs }),
      ...(plan.staleIfErrorMs !== undefined && { staleIfError: plan.staleIfErrorMs }),
    });
    if (!kept.e) return kept.a;
    const { message, ...options } = kept.e;
    throw error("not_found", message, { ...options, executed: "yes" });
  };
}

function compileKey({
  name,
  request,
  access,
  cache: plan,
}: Operation): (message: unknown, context: CallContext) => string {
  const isShared = access === "public" && !plan?.private;
  return (message, { principal }) => {
    const asked = request.stringify(message);
    const who = isShared ? "" : JSON.stringify([principal.kind, principal.subject, ...principal.scopes]);
    const text = `${who}${asked}`;
    return `plinth:${name}:${Buffer.byteLength(text) <= plainKeyBytesMax ? text : hash("sha256", text, "base64url")}`;
  };
}
