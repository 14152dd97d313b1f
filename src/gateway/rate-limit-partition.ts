import { createHash } from "node:crypto";
import type { Principal } from "../base/index.ts";
import type { LimitBy } from "../service/index.ts";
import { addressGroup } from "./client-address.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Whose quota a request takes from, as a text that no other partition has. What comes from a token stands behind a mark of
 * its kind, so that nobody who may choose a name can take an address or somebody else's name for it.
 */
export type PartitionOf = (exchange: Exchange) => string;

export function compilePartition(by: LimitBy): PartitionOf {
  if (by === "route") return () => "r";
  if (by === "address") return addressOf;
  if (by === "principal") return signedIn(principalOf);
  if (by === "client") return signedIn(claimOf("client_id", "azp"));
  if (by === "key") return signedIn(keyOf);
  if (by === "tenant") return signedIn(claimOf("tenant"));
  return signedIn(claimOf(by.claim));
}

function addressOf(exchange: Exchange): string {
  return `a\0${addressGroup(exchange.remote)}`;
}

function principalOf({ kind, subject, claims }: Principal): string {
  return `p\0${kind}\0${textOf(claims.iss)}\0${subject}`;
}

/** Whoever is not signed in has no name but the address. */
function signedIn(of: (principal: Principal) => string): PartitionOf {
  return (exchange) => (exchange.principal.kind === "anonymous" ? addressOf(exchange) : of(exchange.principal));
}

/** The first of the claims that the token has; without any of them, the principal. */
function claimOf(...names: readonly string[]): (principal: Principal) => string {
  return (principal) => {
    const { claims } = principal;
    for (const name of names) {
      const value = textOf(claims[name]);
      if (value !== "") return `c\0${name}\0${textOf(claims.iss)}\0${value}`;
    }
    return principalOf(principal);
  };
}

/** An API key says by its client id which one it is; a token of an issuer that calls its client so has `iss`. */
function keyOf(principal: Principal): string {
  const { client_id: id, iss } = principal.claims;
  return typeof id === "string" && id.startsWith("key:") && iss === undefined ? `k\0${id}` : principalOf(principal);
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

export interface PartitionName {
  /** Stands in the keys of the store: letters, digits, "-" and "_", of one length. */
  readonly key: string;
  /** Is told to the client. */
  readonly pk: Uint8Array;
}

/** A partition as the store knows it: of one length whatever a token says, and without anybody's name in it. */
export function partitionName(partition: string): PartitionName {
  const digest = createHash("sha256").update(partition).digest();
  return { key: digest.subarray(0, 16).toString("base64url"), pk: digest.subarray(16, 25) };
}
