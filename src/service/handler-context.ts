import type { CallScope, ErrorOptions, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { EventDefinition } from "./event.ts";
import type { Operation } from "./operation.ts";

/**
 * Compiles the context of a handler: one class per method, whose needs are getters that bind themselves to the running
 * call when they are first taken. A handler that destructures `{ db }` pays for `db` alone.
 */

/** What a need became: a plain value, or something made for each call. */
export type ResolvedNeed =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "bound"; bind(scope: CallScope): unknown };

/** Writes an event into the outbox of the service's own database. */
export type Publish = (event: EventDefinition, payload: unknown, tx: Transaction, scope: CallScope) => Promise<void>;

export interface ContextParts {
  readonly needs: Readonly<Record<string, ResolvedNeed>>;
  readonly publish: Publish;
  readonly log: Logger;
}

export type ContextFactory = (scope: CallScope, extra?: Readonly<Record<string, unknown>>) => object;

/** Names that a need cannot have: the context, or every object, has them already. `then` would make it a promise. */
export const reservedContextNames: ReadonlySet<string> = new Set([
  "principal",
  "deadline",
  "signal",
  "trace",
  "idempotencyKey",
  "caller",
  "log",
  "events",
  "fail",
  "tx",
  "eventId",
  "sequence",
  "replayed",
  "postpone",
  "scheduledAt",
  "once",
  "resource",
  "then",
  ...Object.getOwnPropertyNames(Object.prototype),
]);

class HandlerContext {
  readonly #scope: CallScope;
  /** What was made for this call so far, each thing in its own place: two uses in one call give the same handle. */
  #slots: unknown[] | undefined = undefined;

  constructor(scope: CallScope, extra: Readonly<Record<string, unknown>> | undefined) {
    this.#scope = scope;
    if (extra) Object.assign(this, extra);
  }
  get principal() {
    return this.#scope.principal;
  }
  get deadline() {
    return this.#scope.deadline;
  }
  get signal() {
    return this.#scope.signal;
  }
  get trace() {
    return this.#scope.trace;
  }
  get idempotencyKey() {
    return this.#scope.idempotencyKey;
  }
  get caller() {
    return this.#scope.caller;
  }

  /**
   * A getter that keeps what it made. It keeps it in a place of its own, not in a property: all contexts of a method have
   * one shape, whichever needs their handlers took.
   */
  static define(prototype: HandlerContext, slot: number, name: string, make: (scope: CallScope) => unknown): void {
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: HandlerContext) {
        this.#slots ??= [];
        this.#slots[slot] ??= make(this.#scope);
        return this.#slots[slot];
      },
    });
  }
}

export function compileContext(parts: ContextParts, operation?: Operation): ContextFactory {
  class Compiled extends HandlerContext {}
  const { prototype } = Compiled;
  let slotCount = 0;
  const define = (name: string, make: (scope: CallScope) => unknown) =>
    HandlerContext.define(prototype, slotCount++, name, make);
  define("log", (scope) => parts.log.with(scope.trace));
  define("events", (scope) => ({
    publish: (event: EventDefinition, payload: unknown, options?: { in?: Transaction }) => {
      if (!options?.in) {
        throw error("internal", "An event was published outside a transaction.", {
          reason: "EVENT_WITHOUT_TRANSACTION",
          detail: `${event.id}: pass the transaction of the change it tells of: events.publish(event, payload, { in: tx })`,
        });
      }
      return parts.publish(event, payload, options.in, scope);
    },
  }));
  for (const [name, need] of Object.entries(parts.needs)) {
    if (need.kind === "value") Object.defineProperty(prototype, name, { value: need.value, enumerable: true });
    else define(name, (scope) => need.bind(scope));
  }
  if (operation) Object.defineProperty(prototype, "fail", { value: compileFail(operation), enumerable: true });
  return (scope, extra) => new Compiled(scope, extra);
}

function compileFail(operation: Operation): (name: string, message: string, options?: ErrorOptions) => never {
  return (name, message, options) => {
    const reason = operation.errors.has(name) ? name : name.toUpperCase();
    const code = operation.errors.get(reason);
    if (code === undefined) {
      throw error("internal", "Something went wrong on our side.", {
        detail: `${operation.id} failed with "${name}", which its contract does not declare; add it to "errors"`,
      });
    }
    throw error(code as PlinthError["code"], message, { ...options, reason, executed: "yes" });
  };
}
