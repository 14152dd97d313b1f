import type { CallScope, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import { objectRuleOf } from "./access.ts";
import type { ContextFactory } from "./handler-context.ts";
import type { Operation } from "./operation.ts";

/** How a service finds a resource. Undefined when there is none. */
export type ResourceLoader = (request: any, context: any) => Promise<unknown> | unknown;

/**
 * The check of one object: finds what the call is about and asks the rule. It runs wherever the method runs, so it binds
 * calls from the gateway, from beside and over RPC alike, and before anything that was cached is given away.
 */
export interface ObjectAccess {
  /** Throws `not_found` or `permission_denied`, or what the service threw while looking. */
  admit(request: unknown, scope: CallScope): Promise<void>;
  /** The same contexts, with what `admit` found as `resource`. */
  readonly contextOf: ContextFactory;
}

export interface ObjectAccessOptions {
  readonly resources: Readonly<Record<string, ResourceLoader>>;
  readonly contextOf: ContextFactory;
  /** What a caller may see of what went wrong while looking. */
  readonly toFailure: (thrown: unknown, scope: CallScope) => PlinthError;
}

export function compileObjectAccess(operation: Operation, options: ObjectAccessOptions): ObjectAccess | undefined {
  const rule = objectRuleOf(operation.access);
  if (!rule) return undefined;
  const { resources, contextOf, toFailure } = options;
  const load = rule.resource && resources[rule.resource.name];
  // In the method's own words, where it has some: then nobody can tell this from the handler's answer.
  const reason = [...operation.errors].find(([, code]) => code === "not_found")?.[0] ?? "NOT_FOUND";
  const kept = new WeakMap<CallScope, unknown>();

  const find = async (request: unknown, scope: CallScope): Promise<unknown> => {
    try {
      return (await load?.(request, contextOf(scope))) ?? undefined;
    } catch (thrown) {
      throw toFailure(thrown, scope);
    }
  };
  return {
    async admit(request, scope) {
      const found = await find(request, scope);
      if (load && found === undefined) throw absent(reason);
      if (scope.principal.kind !== "service" && rule.can(scope.principal, request, found) !== true) {
        throw load ? absent(reason) : denied();
      }
      kept.set(scope, found);
    },
    contextOf: (scope, extra) => contextOf(scope, load ? { ...extra, resource: kept.get(scope) } : extra),
  };
}

/** The same whether there is none or it is somebody else's: who asks learns nothing of other people's objects. */
function absent(reason: string): PlinthError {
  return error("not_found", "There is none, or none that you may use.", { reason, executed: "no" });
}

function denied(): PlinthError {
  return error("permission_denied", "You may not do this.", { reason: "ACCESS_DENIED", executed: "no" });
}
