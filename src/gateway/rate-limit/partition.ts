import { createHash } from "node:crypto";
import type { Principal } from "../../base/index.ts";
import { Keyed } from "../../limits/index.ts";
import type { LimitBy } from "../../service/index.ts";
import { addressGroup } from "../client/address.ts";
import type { Exchange } from "../exchange.ts";
import { partitionText } from "./headers.ts";

/** Whose quota a request takes from, as the store and the client know it: without anybody's name. */
export interface Partition {
  /** Stands in the keys of the store: 22 letters, digits, "-" and "_", whatever a token says. */
  readonly key: string;
  /** Is told to the client: `;pk=:…:`. */
  readonly text: string;
}

export type PartitionOf = (exchange: Exchange) => Partition;

/** Partitions that are remembered, for each thing to count by. Forgotten ones are worked out again. */
const partitionsMax = 10_000;

export function compilePartition(by: LimitBy): PartitionOf {
  const nameOf = compileName(by);
  const known = new Keyed<Partition>(partitionsMax);
  return (exchange) => {
    const name = nameOf(exchange);
    let partition = known.get(name);
    if (partition === undefined) {
      const digest = createHash("sha256").update(name).digest();
      partition = {
        key: digest.subarray(0, 16).toString("base64url"),
        text: partitionText(digest.subarray(16, 25)),
      };
      known.set(name, partition);
    }
    return partition;
  };
}

/**
 * A text that no other partition has. What comes from a token stands behind a mark of its kind, so that nobody who may
 * choose a name can take an address or somebody else's name for it.
 */
type NameOf = (exchange: Exchange) => string;

function compileName(by: LimitBy): NameOf {
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
function signedIn(of: (principal: Principal) => string): NameOf {
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
