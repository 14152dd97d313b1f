import type { Clock } from "../../base/index.ts";
import { error, systemClock } from "../../base/index.ts";
import type { Authenticator } from "../../identity/index.ts";
import { createChallenge } from "../../identity/index.ts";
import type { LimitDriver, WhenDown } from "../../limits/index.ts";
import { createLimiter, createMemoryLimits } from "../../limits/index.ts";
import { t } from "../../schema/index.ts";
import type { Limit, MethodLimit, SharedLimit } from "../../service/index.ts";
import { compileLimits, method } from "../../service/index.ts";
import type { GatewayOptions } from "../gateway.ts";
import type { TestMethod } from "../testing.ts";

/** `Bearer name claim=value …` is good, `Bearer bad…` is not. What was good once is remembered. */
export function fakeAuthenticator(): Authenticator & { readonly verifiedCount: number } {
  const known = new Map<string, ReturnType<typeof principalOf>>();
  let verifiedCount = 0;
  return {
    get verifiedCount() {
      return verifiedCount;
    },
    recall: (authorization) => known.get(authorization),
    apiKeyHeader: undefined,
    recallKey: () => undefined,
    async authenticate({ authorization = "" }) {
      verifiedCount++;
      if (authorization.startsWith("Bearer bad"))
        throw error("unauthenticated", "The token is not valid.", { reason: "TOKEN_INVALID", executed: "no" });
      const principal = principalOf(authorization);
      known.set(authorization, principal);
      return principal;
    },
    challenge: createChallenge({ realm: "test" }),
    forget: () => known.clear(),
  };
}

function principalOf(authorization: string) {
  const [, subject = "", ...claims] = authorization.split(" ");
  return {
    kind: "user" as const,
    subject,
    scopes: [],
    claims: Object.fromEntries(claims.map((claim) => claim.split("=") as [string, string])),
  };
}

export interface QuotaFixture {
  readonly limits?: readonly SharedLimit[];
  readonly plans?: Readonly<Record<string, readonly Limit[]>>;
  readonly planOf?: { readonly claim: string; readonly otherwise: string };
  readonly authFailures?: { readonly quota: number; readonly window: `${number}s` };
  readonly clock?: Clock;
  readonly driver?: LimitDriver;
  readonly whenDown?: WhenDown;
  readonly processes?: number;
}

/** Gateway options with quotas that count in memory, unless `driver` does. */
export function quotasOf(given: QuotaFixture): Partial<GatewayOptions> {
  const { clock = systemClock, driver = createMemoryLimits({ clock }), whenDown, processes } = given;
  const problems: string[] = [];
  const limiter = createLimiter({ driver, clock, ...(whenDown && { whenDown }), ...(processes && { processes }) });
  const failures =
    given.authFailures &&
    compileLimits("failures", [{ ...given.authFailures, by: "address", name: "auth-failures" }], problems)[0];
  const quotas = {
    limiter,
    namespace: "test",
    limits: compileLimits("limits", given.limits ?? [], problems),
    plans: new Map(
      Object.entries(given.plans ?? {}).map(([name, list]) => [name, compileLimits(name, list, problems)] as const),
    ),
    planOf: given.planOf,
    authFailures: failures,
  };
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return { quotas, clock, authenticator: fakeAuthenticator() };
}

const text = t.Object({ text: t.String() });

export const get = (path: `/${string}`, limits?: readonly MethodLimit[] | false): TestMethod => ({
  method: method({ http: `GET ${path}`, access: "public", response: text, ...(limits !== undefined && { limits }) }),
  handle: () => ({ text: "x" }),
});
