import type { Principal } from "../base/index.ts";
import type { Access } from "../service/index.ts";
import { compileAccess } from "../service/index.ts";
import { wrongGateway } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Step } from "./step.ts";
import { proceed } from "./step.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/**
 * Lets a request in, or refuses it: identity first, then access, before a byte of its body is read.
 *
 * A request without `Authorization` is anonymous. One with it must hold a valid token also where none is needed: a client
 * that believes itself signed in learns at once that it is not.
 */
export function compileAdmission(id: string, access: Access, verifier: TokenVerifier | undefined): Step | undefined {
  const check = compileAccess(access);
  if (!verifier) {
    if (check) {
      throw wrongGateway(
        "VERIFIER_MISSING",
        `${id}: it needs a valid token, but the gateway has nothing to verify one with; give it a verifier, or declare access: "public".`,
      );
    }
    return undefined;
  }
  const enter = (exchange: Exchange, principal: Principal, next: (exchange: Exchange) => void): void => {
    exchange.principal = principal;
    check?.(principal);
    next(exchange);
  };
  return (exchange, next) => {
    const { authorization } = exchange.headers;
    if (authorization === undefined) {
      check?.(exchange.principal);
      next(exchange);
      return;
    }
    const known = verifier.recall(authorization);
    if (known) {
      enter(exchange, known, next);
      return;
    }
    verifier.verify(authorization).then(
      (principal) => proceed(exchange, () => enter(exchange, principal, next)),
      (thrown) => exchange.fail(thrown),
    );
  };
}
