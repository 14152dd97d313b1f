import { error } from "../../base/index.ts";

/** What is closed for the time being. Read at each request; nothing is looked up while nothing is closed. */
export interface Maintenance {
  /** Undefined while nothing is closed. */
  readonly closed: Closed | undefined;
  replace(plan: MaintenancePlan | undefined): void;
}

export interface Closed {
  /** The refusal for a route that is closed. */
  refusalOf(endpoint: { readonly names?: readonly string[] }): Error | undefined;
}

export interface MaintenancePlan {
  /** Every route, or those of these names: a route's, a service's, a method's. */
  readonly routes: "all" | readonly string[];
  readonly retryAfterMs: number;
}

/** MAINTENANCE: this part is closed for a while. Nothing was executed. */
const closedForMaintenance = (retryAfterMs: number) =>
  error("unavailable", "This is closed for maintenance. Try again later.", {
    reason: "MAINTENANCE",
    retry: retryAfterMs,
    executed: "no",
  });

export function createMaintenance(): Maintenance {
  let closed: Closed | undefined;
  return {
    get closed() {
      return closed;
    },
    replace(plan) {
      closed = plan && close(plan);
    },
  };
}

function close({ routes, retryAfterMs }: MaintenancePlan): Closed {
  const names = routes === "all" ? undefined : new Set(routes);
  return {
    refusalOf({ names: own }) {
      if (!own) return undefined;
      return !names || own.some((name) => names.has(name)) ? closedForMaintenance(retryAfterMs) : undefined;
    },
  };
}
