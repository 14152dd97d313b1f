import type { CallScope, ErrorOptions, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { EventDefinition } from "./event.ts";
import type { Operation } from "./operation.ts";

/**
 * Compiles the context of a handler: a class whose needs are getters that bind themselves to the running call when they are
 * first taken. A handler that destructures `{ db }` pays for `db` alone.
 */

/** What a need became: a plain value, or something made for each call. */
export type ResolvedNeed = ValueNeed | BoundNeed;

interface ValueNeed {
  readonly kind: "value";
  readonly value: unknown;
}

interface BoundNeed {
  readonly kind: "bound";
  bind(scope: CallScope): unknown;
}

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

/** What the contexts of one method have in common. */
interface Shared extends Pick<ContextParts, "publish" | "log"> {
  readonly needs: readonly ResolvedNeed[];
  readonly fail: ReturnType<typeof compileFail> | undefined;
}

class HandlerContext {
  readonly #shared: Shared;
  readonly #scope: CallScope;
  /** What was made for this call so far, each thing in its own place: two uses in one call give the same handle. */
  #slots: unknown[] | undefined = undefined;

  constructor(shared: Shared, scope: CallScope, extra: Readonly<Record<string, unknown>> | undefined) {
    this.#shared = shared;
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
  get fail() {
    return this.#shared.fail;
  }

  /**
   * A getter that keeps what it made. It keeps it in a place of its own, not in a property: all contexts of a class have
   * one shape, whichever needs their handlers took.
   */
  static defineMade(prototype: HandlerContext, slot: number, name: string, make: Make): void {
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: HandlerContext) {
        this.#slots ??= [];
        this.#slots[slot] ??= make(this.#shared, this.#scope);
        return this.#slots[slot];
      },
    });
  }

  static defineNeed(prototype: HandlerContext, index: number, name: string, { kind }: ResolvedNeed): void {
    if (kind === "bound") {
      HandlerContext.defineMade(prototype, firstSlot + index, name, ({ needs }, scope) =>
        (needs[index] as BoundNeed).bind(scope),
      );
      return;
    }
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: HandlerContext) {
        return (this.#shared.needs[index] as ValueNeed).value;
      },
    });
  }
}

type Make = (shared: Shared, scope: CallScope) => unknown;

HandlerContext.defineMade(HandlerContext.prototype, 0, "log", ({ log }, scope) => log.with(scope.trace));
HandlerContext.defineMade(HandlerContext.prototype, 1, "events", ({ publish }, scope) => ({
  publish: (event: EventDefinition, payload: unknown, options?: { in?: Transaction }) => {
    if (!options?.in) {
      throw error("internal", "An event was published outside a transaction.", {
        reason: "EVENT_WITHOUT_TRANSACTION",
        detail: `${event.id}: pass the transaction of the change it tells of: events.publish(event, payload, { in: tx })`,
      });
    }
    return publish(event, payload, options.in, scope);
  },
}));
const firstSlot = 2;

/** By the names and kinds of their needs: as many as an app writes down. */
const classes = new Map<string, typeof HandlerContext>();

/** All that need the same share a class: the engine is slow with code that meets more than four. */
function classOf(needs: ContextParts["needs"]): typeof HandlerContext {
  const list = Object.entries(needs);
  const key = JSON.stringify(list.map(([name, { kind }]) => [name, kind]));
  let found = classes.get(key);
  if (!found) {
    found = class extends HandlerContext {};
    for (const [index, [name, need]] of list.entries()) HandlerContext.defineNeed(found.prototype, index, name, need);
    classes.set(key, found);
  }
  return found;
}

export function compileContext({ needs, publish, log }: ContextParts, operation?: Operation): ContextFactory {
  const Context = classOf(needs);
  const shared: Shared = { needs: Object.values(needs), publish, log, fail: operation && compileFail(operation) };
  return (scope, extra) => new Context(shared, scope, extra);
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
