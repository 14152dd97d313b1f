import type { Cache } from "../cache/index.ts";
import type { Transaction } from "../database/index.ts";
import type { EventType, Publisher, Subscription } from "../events/index.ts";
import { compile, t } from "../schema/index.ts";
import type { ServiceDefinition } from "../service/index.ts";

/**
 * The second way of an invalidation. `cache.invalidate(tags, { in: tx })` acts at once after the commit, unless the process
 * dies between the two. So the tags are also an event of the service to itself, written in the same transaction: whoever
 * receives it invalidates once more. Twice is as good as once.
 *
 * It needs a database and a cache in the same service, and reaches the caches that share an engine. Where each process has
 * its own in memory, only that of the process which receives the event is cleaned; the others keep what they have until
 * its time is over.
 */
export function needsInvalidation({ needs }: ServiceDefinition): boolean {
  const kinds = new Set(Object.values(needs).map((need) => need.kind));
  return kinds.has("database") && kinds.has("cache");
}

/** The subscription's name, without the service. No service can declare it: a name of its own has no `:`. */
export const invalidationName = "plinth:invalidate";

/** Compiled where somebody needs it. */
const Payload = t.Object({ tags: t.Array(t.String()) });

export function invalidationType(service: string): EventType<{ readonly tags: readonly string[] }> {
  return {
    name: `${service}.plinth:Invalidated`,
    service,
    payload: compile(Payload),
    // One row is locked for each key until the commit: by tag, those wait for each other who write the same thing anyway.
    keyOf: ({ tags }) => (tags[0] ?? "").slice(0, 64),
  };
}

export async function announceInvalidation(
  publisher: Publisher,
  service: string,
  tx: Transaction,
  tags: readonly string[],
): Promise<void> {
  await publisher.publish(invalidationType(service), { tags }, { in: tx });
}

export function invalidationSubscription(service: string, cache: Cache): Subscription {
  return {
    name: `${service}.${invalidationName}`,
    types: [invalidationType(service)],
    // Nothing is written: there is no effect to be remembered.
    inbox: false,
    idempotent: true,
    handle: async ({ tags }: { readonly tags: readonly string[] }) => cache.invalidate(tags),
  };
}
