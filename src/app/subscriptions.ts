import type { SubscriptionSpec } from "../events/index.ts";
import type { ServiceDefinition } from "../service/index.ts";
import type { App } from "./app.ts";
import { invalidationName, invalidationType, needsInvalidation } from "./invalidation.ts";

/** Who announces and who listens, of services as they are declared, the platform's own events included. */

export function publishes(service: ServiceDefinition): boolean {
  return Object.keys(service.contract.events).length > 0 || needsInvalidation(service);
}

export function subscribes(service: ServiceDefinition): boolean {
  return Object.keys(service.subscriptions).length > 0 || needsInvalidation(service);
}

/** Every subscription of the app, as the broker knows it. */
export function subscriptionsOf({ services }: App): readonly SubscriptionSpec[] {
  return services.flatMap((service) => {
    if (service.kind !== "service") return [];
    const { name } = service.contract;
    const own = Object.entries(service.subscriptions).map(([subscription, { event }]) => ({
      subscription: `${name}.${subscription}`,
      types: [event.id],
    }));
    if (!needsInvalidation(service)) return own;
    return [...own, { subscription: `${name}.${invalidationName}`, types: [invalidationType(name).name] }];
  });
}
