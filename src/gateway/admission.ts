import type { Principal } from "../base/index.ts";
import type { Authenticator } from "../identity/index.ts";
import type { Access, AccessCheck } from "../service/index.ts";
import { compileAccess } from "../service/index.ts";
import { wrongGateway } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { identityOf } from "./identity-of.ts";
import type { Step } from "./step.ts";
import { composeSteps, proceed } from "./step.ts";

/**
 * Lets a request in, or refuses it: identity first, then `limit`, then access, before a byte of its body is read.
 *
 * A request that shows nothing is anonymous. One that does must show something good also where nothing is needed: a
 * client that believes itself signed in learns at once that it is not. What stands in the query string or in a cookie is
 * no credential and is not looked at.
 */
export function compileAdmission(
  id: string,
  access: Access,
  authenticator: Authenticator | undefined,
  limit?: Step | undefined,
): Step | undefined {
  const check = compileAccess(access);
  if (!authenticator) {
    if (check) {
      throw wrongGateway(
        "AUTHENTICATOR_MISSING",
        `${id}: it needs a valid token, but the gateway has nothing to check one with; give it an authenticator, or declare access: "public".`,
      );
    }
    return limit;
  }
  const decide = composeSteps([limit, check && allowing(check)]);
  const enter = (exchange: Exchange, principal: Principal, next: (exchange: Exchange) => void): void => {
    exchange.principal = principal;
    decide(exchange, next);
  };
  const { apiKeyHeader } = authenticator;
  return (exchange, next) => {
    const { authorization } = exchange.headers;
    const apiKey = apiKeyHeader === undefined ? undefined : (exchange.headers[apiKeyHeader] as string | undefined);
    if (authorization === undefined && apiKey === undefined) {
      decide(exchange, next);
      return;
    }
    const known = recall(authenticator, authorization, apiKey);
    if (known) {
      enter(exchange, known, next);
      return;
    }
    authenticator.authenticate(identityOf(exchange, apiKey)).then(
      (principal) => proceed(exchange, () => enter(exchange, principal, next)),
      (thrown) => exchange.fail(thrown),
    );
  };
}

function allowing(check: AccessCheck): Step {
  return (exchange, next) => {
    check(exchange.principal);
    next(exchange);
  };
}

function recall(authenticator: Authenticator, authorization: string | undefined, apiKey: string | undefined) {
  if (authorization === undefined) return authenticator.recallKey(apiKey as string);
  return apiKey === undefined ? authenticator.recall(authorization) : undefined;
}
