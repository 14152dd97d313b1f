import type { Principal } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Resource, ResourceValue } from "./resource.ts";

/**
 * Who may call a method. Denied unless declared open: without `access` a valid token is needed.
 *
 * - `"public"`: anyone.
 * - `"authenticated"`: anyone with a valid token, and services on their own account.
 * - a rule: a valid token, and everything that the rule names.
 *
 * A service acting on its own account (a schedule, a subscription) is asked for none of it: that its `needs` names the
 * contract is its grant. A service that answers somebody calls on with that somebody's principal, and rules bind there too.
 */
export type Access<Q = any, X extends Resource | undefined = any> = "public" | "authenticated" | AccessRule<Q, X>;

export interface AccessRule<Q = any, X extends Resource | undefined = any> {
  /** The token carries it; all of them, when several are named. */
  readonly scope?: string | readonly string[];
  /** The principal has it (claim `roles`); one of them, when several are named. */
  readonly role?: string | readonly string[];
  /** What the call is about. The service says how it is found (`resources`), and the handler gets it as `context.resource`. */
  readonly resource?: X;
  /**
   * Whether this principal may do this to that object. Only `true` lets the call in. With a `resource`, whoever is refused
   * is told the method's own `not_found`, as if there were none; without one, `permission_denied`.
   */
  readonly can?: (principal: Principal, request: Q, resource: ResourceValue<X>) => boolean;
}

/** Throws `unauthenticated` or `permission_denied`; does nothing when the principal may pass. */
export type AccessCheck = (principal: Principal) => void;

/** The check for what a rule asks of the principal alone, or undefined where there is nothing to check. */
export function compileAccess(access: Access): AccessCheck | undefined {
  if (access === "public") return undefined;
  if (access === "authenticated") return requireIdentity;
  const scopes = scopesOf(access);
  const roles = rolesOf(access);
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
    if (roles.length > 0 && !hasRole(principal, roles)) {
      throw error("permission_denied", "This needs a role that you do not have.", {
        reason: "ROLE_MISSING",
        executed: "no",
      });
    }
  };
}

/** Roles are a list of words in the claim `roles`; anything else is none. */
function hasRole({ claims }: Principal, roles: readonly string[]): boolean {
  const held: unknown = claims.roles;
  return Array.isArray(held) && roles.some((role) => held.includes(role));
}

const parts: ReadonlySet<string> = new Set(["scope", "role", "resource", "can"]);

/** True for an access rule; what is written without types may be anything. */
export function isAccess(value: unknown): value is Access {
  if (value === "public" || value === "authenticated") return true;
  if (typeof value !== "object" || value === null) return false;
  const names = Object.keys(value);
  if (names.length === 0 || !names.every((name) => parts.has(name))) return false;
  const { scope, role, resource, can } = value as Record<string, unknown>;
  return (
    (scope === undefined || isWords(scope)) &&
    (role === undefined || isWords(role)) &&
    (can === undefined || typeof can === "function") &&
    (resource === undefined || (can !== undefined && (resource as Resource).kind === "resource"))
  );
}

function isWords(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 && value.every(isWord) : isWord(value);
}

/** A scope is one word: a token lists its scopes with spaces between (RFC 6749, 3.3). So is a role. */
function isWord(value: unknown): boolean {
  return typeof value === "string" && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value);
}

/** The scopes that an access rule asks for; empty when none. */
export function scopesOf(access: Access): readonly string[] {
  return typeof access === "string" ? [] : toList(access.scope);
}

/** The roles of which it asks for one; empty when none. */
export function rolesOf(access: Access): readonly string[] {
  return typeof access === "string" ? [] : toList(access.role);
}

/** The part of a rule that looks at the request or at what it is about. */
export function objectRuleOf(access: Access): (AccessRule & Required<Pick<AccessRule, "can">>) | undefined {
  return typeof access === "object" && access.can ? (access as ReturnType<typeof objectRuleOf>) : undefined;
}

function toList(words: string | readonly string[] | undefined): readonly string[] {
  return words === undefined ? [] : typeof words === "string" ? [words] : words;
}

function requireIdentity(principal: Principal): void {
  if (principal.kind === "anonymous") {
    throw error("unauthenticated", "This needs a valid token.", { reason: "TOKEN_MISSING", executed: "no" });
  }
}
