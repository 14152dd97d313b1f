import type { Principal } from "../base/index.ts";
import type { DeprecationPlan } from "../service/index.ts";
import { deprecationHeaders } from "../service/index.ts";
import type { Counter, Metrics } from "../telemetry/index.ts";
import type { Step } from "./step.ts";

/** How many clients are told apart; those that come later are counted together. */
const clientsMax = 100;

export interface Deprecations {
  /** Says on every answer that it goes away, and counts who still calls. Undefined where it does not go away. */
  stepOf(id: string, plan: DeprecationPlan | undefined): Step | undefined;
}

/**
 * Who still calls what goes away: `plinth_gateway_deprecated_requests_total{operation, client}`. The client is the token's
 * `client_id` (or `azp`), which are few; a person's own name is never a label.
 */
export function createDeprecations(metrics: Metrics | undefined): Deprecations {
  const family = metrics?.counter(
    "plinth_gateway_deprecated_requests_total",
    "Requests to what is deprecated, by who calls.",
    ["operation", "client"],
  );
  const counters = new Map<string, Counter>();
  const clients = new Set<string>();
  const count = (operation: string, principal: Principal): void => {
    if (!family) return;
    const given = clientOf(principal);
    if (!clients.has(given) && clients.size < clientsMax) clients.add(given);
    const client = clients.has(given) ? given : "_other";
    const key = `${operation}\0${client}`;
    let counter = counters.get(key);
    if (!counter) {
      counter = family.with({ operation, client });
      counters.set(key, counter);
    }
    counter.add();
  };
  return {
    stepOf(id, plan) {
      if (!plan) return undefined;
      const headers = deprecationHeaders(plan);
      return (exchange, next) => {
        for (let i = 0; i < headers.length; i += 2) exchange.addHeader(headers[i] as string, headers[i + 1] as string);
        // At the end: by then it is known who calls.
        exchange.atEnd(({ principal }) => count(id, principal));
        next(exchange);
      };
    },
  };
}

function clientOf({ kind, subject, claims }: Principal): string {
  const named = claims.client_id ?? claims.azp;
  if (typeof named === "string" && /^[\x21-\x7e]{1,100}$/.test(named)) return named;
  return kind === "service" ? subject : `_${kind}`;
}
