import { lookup as lookUp } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { StartError } from "../base/index.ts";
import type { AddressKind } from "./address-kind.ts";
import { addressKindOf } from "./address-kind.ts";

/**
 * Where connections may go. A name is judged by the addresses that it resolves to at the very moment of connecting, and
 * the connection is made to those and no others: a name cannot be good when it is checked and bad when it is used.
 */
export interface Egress {
  /** The kinds of addresses that may be reached. Default: `["public"]`. */
  readonly addresses?: readonly AddressKind[];
  /** Hosts that may be reached at whatever address they have: `"issuer.internal"`, `"*.example.com"`, `"10.0.0.5"`. */
  readonly allow?: readonly string[];
  /** Nothing but what `allow` names. Default false. */
  readonly allowOnly?: boolean;
}

export interface EgressGuard {
  /** Why this host may not be called, as far as that is known without asking for its address. */
  refusalOf(host: string): EgressRefusal | undefined;
  /** Resolves a name to those of its addresses that may be reached; fails with EgressRefusal when none may. */
  readonly lookup: LookupFunction;
}

/** Goes through undici as an error of connecting. */
export class EgressRefusal extends Error {}

/** Throws StartError HTTP_EGRESS_WRONG. */
export function createEgressGuard(egress: Egress, resolve: typeof lookUp = lookUp): EgressGuard {
  const { addresses = ["public"], allow = [], allowOnly = false } = egress;
  const wrong = allow.filter(
    (host) => isIP(host) === 0 && !/^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?$/.test(host),
  );
  if (wrong.length > 0) {
    throw new StartError(
      "HTTP_EGRESS_WRONG",
      wrong.map(
        (host) =>
          `egress: ${JSON.stringify(host)} in "allow" is no host: write a name ("issuer.internal"), its subdomains ("*.example.com") or an IP address, without scheme and port`,
      ),
    );
  }
  const kinds: ReadonlySet<AddressKind> = new Set(addresses);
  const exact = new Set(allow.filter((host) => !host.startsWith("*.")).map(plain));
  const endings = allow.filter((host) => host.startsWith("*.")).map((host) => plain(host.slice(1)));
  const isNamed = (host: string): boolean => exact.has(host) || endings.some((ending) => host.endsWith(ending));

  const refusalOf = (given: string): EgressRefusal | undefined => {
    const host = plain(given);
    if (isNamed(host)) return undefined;
    if (allowOnly) return new EgressRefusal(`"${host}" is not among the hosts that may be called`);
    const kind = addressKindOf(host);
    return kind === undefined || kinds.has(kind) ? undefined : new EgressRefusal(`${host} is a ${kind} address`);
  };
  const lookup: LookupFunction = (name, options, callback) => {
    const isFree = isNamed(plain(name));
    resolve(name, { ...options, all: true }, (cause, found) => {
      if (cause) return callback(cause, []);
      const usable = isFree ? found : found.filter(({ address }) => kinds.has(addressKindOf(address) ?? "reserved"));
      const first = usable[0];
      if (!first) {
        const seen = found.map(({ address }) => `${address} (${addressKindOf(address)})`).join(", ");
        return callback(new EgressRefusal(`"${name}" has no address that may be called: ${seen}`), []);
      }
      if (options.all) callback(null, usable);
      else callback(null, first.address, first.family);
    });
  };
  return { refusalOf, lookup };
}

/** As hosts are compared: lower case, without the dot of the root and the brackets of IPv6. */
function plain(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}
