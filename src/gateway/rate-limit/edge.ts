import type { Clock } from "../../base/index.ts";
import type { Authenticator } from "../../identity/index.ts";
import type { Limiter } from "../../limits/index.ts";
import type { LimitPlan, MethodLimits } from "../../service/index.ts";
import { compileMethodLimits } from "../../service/index.ts";
import { wrongGateway } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { GatewayRoute } from "../gateway-route.ts";
import type { OutsideOptions } from "../proxy/table.ts";
import type { Step } from "../step.ts";
import { createFailureGuard } from "./failures.ts";
import type { RateLimits, SharedLimits } from "./rate-limit.ts";
import { createRateLimits } from "./rate-limit.ts";

/** What the gateway is given to limit with. */
export interface QuotaOptions extends SharedLimits {
  readonly limiter: Limiter;
  /** Keeps apps apart that share a store: the app's name. */
  readonly namespace: string;
  /** How many refused credentials one address may show; undefined for any number. */
  readonly authFailures: LimitPlan | undefined;
  readonly observe?: ((limit: string, outcome: "allowed" | "refused") => void) | undefined;
}

/** The steps of limits, for each endpoint. */
export interface QuotaSteps {
  /** Before anybody is identified; undefined where nobody is. */
  readonly failures: Step | undefined;
  stepOf(id: string, limits: MethodLimits | false | undefined): Step | undefined;
}

export interface CompiledQuotas {
  readonly quotas: QuotaSteps;
  readonly onUnauthenticated: ((exchange: Exchange) => void) | undefined;
  /** Undefined where there are no plans. */
  readonly replacePlans: RateLimits["replacePlans"] | undefined;
}

/** Throws StartError LIMITER_MISSING, LIMITS_INVALID, LIMITS_TOO_MANY. */
export function compileQuotas(
  options: {
    readonly routes: readonly GatewayRoute[];
    readonly outside?: OutsideOptions;
    readonly quotas?: QuotaOptions;
    readonly authenticator?: Authenticator;
  },
  clock: Clock,
): CompiledQuotas {
  const { quotas, authenticator, routes } = options;
  if (!quotas) {
    const none = { failures: undefined, stepOf: withoutLimiter };
    return { quotas: none, onUnauthenticated: undefined, replacePlans: undefined };
  }
  // What is wrong with those of routes to outside systems is told where these are compiled.
  const outside = (options.outside?.routes ?? []).map(({ name = "", path, limits: given }) =>
    compileMethodLimits(name, { http: path, ...(given !== undefined && { limits: given }) }, []),
  );
  const all = [...routes.map(({ operation }) => operation.limits), ...outside];
  const limits: RateLimits = createRateLimits({ ...quotas, all });
  const { authFailures: plan, limiter, namespace } = quotas;
  const guard =
    plan && authenticator
      ? createFailureGuard({ plan, limiter, namespace, clock, isGuess: guessFor(authenticator) })
      : undefined;
  return {
    quotas: { failures: guard?.step, stepOf: (id, declared) => limits.stepOf(id, declared) },
    onUnauthenticated: guard && ((exchange) => guard.note(exchange)),
    replacePlans: quotas.plans.size > 0 ? limits.replacePlans : undefined,
  };
}

function withoutLimiter(id: string, limits: MethodLimits | false | undefined): undefined {
  if (!limits) return undefined;
  throw wrongGateway(
    "LIMITER_MISSING",
    `${id}: it has limits, but the gateway has nothing to count with; give it quotas with a limiter, or remove "limits".`,
  );
}

function guessFor(authenticator: Authenticator): (exchange: Exchange) => boolean {
  const { apiKeyHeader } = authenticator;
  return ({ headers }) => {
    if (headers.authorization !== undefined) return authenticator.recall(headers.authorization) === undefined;
    const key = apiKeyHeader === undefined ? undefined : headers[apiKeyHeader];
    return key !== undefined && (typeof key !== "string" || authenticator.recallKey(key) === undefined);
  };
}
