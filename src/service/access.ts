import type { Principal } from "../base/index.ts";
import { error } from "../base/index.ts";

/**
 * Who may call a method. Denied unless declared open: without `access` a valid token is needed.
 *
 * - `"public"`: anyone.
 * - `"authenticated"`: anyone with a valid token, and services on their own account.
 * - `{ scope }`: a token that carries the scope (all of them, when several are named). A service acting on its own
 *   account needs no scope: that its `needs` names the contract is its grant.
 */
export type Access = "public" | "authenticated" | { readonly scope: string | readonly string[] };

/** Throws `unauthenticated` or `permission_denied`; does nothing when the principal may pass. */
export type AccessCheck = (principal: Principal) => void;

/** The check for an access rule, or undefined where there is nothing to check. */
export function compileAccess(access: Access): AccessCheck | undefined {
  if (access === "public") return undefined;
  if (access === "authenticated") return requireIdentity;
  const scopes = scopesOf(access);
  return (principal) => {
    requireIdentity(principal);
    if (principal.kind === "service") return;
    for (const scope of scopes) {
      if (!principal.scopes.includes(scope)) {
        throw error("permission_denied", `This needs the scope "${scope}".`, {
          reason: "SCOPE_MISSING",
          details: { scope: scopes.join(" ") },
          executed: "no",
        });
      }
    }
  };
}

/** True for an access rule; what is written without types may be anything. */
export function isAccess(value: unknown): value is Access {
  if (value === "public" || value === "authenticated") return true;
  if (typeof value !== "object" || value === null || Object.keys(value).join() !== "scope") return false;
  const { scope } = value as { readonly scope: unknown };
  return Array.isArray(scope) ? scope.length > 0 && scope.every(isScope) : isScope(scope);
}

/** A scope is one word: a token lists its scopes with spaces between (RFC 6749, 3.3). */
function isScope(value: unknown): boolean {
  return typeof value === "string" && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value);
}

/** The scopes that an access rule asks for; empty when none. */
export function scopesOf(access: Access): readonly string[] {
  if (typeof access === "string") return [];
  return typeof access.scope === "string" ? [access.scope] : access.scope;
}

function requireIdentity(principal: Principal): void {
  if (principal.kind === "anonymous") {
    throw error("unauthenticated", "This needs a valid token.", { reason: "TOKEN_MISSING", executed: "no" });
  }
}
