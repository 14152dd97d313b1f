import type { Principal } from "../../base/index.ts";
import type { Demand } from "../../limits/index.ts";
import { Keyed } from "../../limits/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Meter } from "./meter.ts";

/** What a request takes of the limits of its route, and what is told of them whatever is left. */
export interface Account {
  readonly slot: string;
  readonly demands: readonly Demand[];
  /** `RateLimit-Policy`. */
  readonly policies: string;
  /** By limit: what stands in `RateLimit` behind the numbers. */
  readonly partitions: readonly string[];
}

/** Accounts that a route remembers. Forgotten ones are made again. */
export const accountsMax = 1000;

/**
 * Where all limits take as much from each request of a principal, its account is made once for all of them. A principal is
 * the same object for as long as its token is remembered; who is not signed in is counted by address, so never by this.
 */
export function compileAccount(meters: readonly Meter[], slot: string | undefined): (exchange: Exchange) => Account {
  const open = (exchange: Exchange): Account => {
    const partitions = meters.map((meter) => meter.partitionOf(exchange));
    return {
      slot: slot ?? (partitions[0]?.key as string),
      demands: meters.map((meter, i) => meter.demand(exchange, partitions[i] as (typeof partitions)[number])),
      policies: meters.map(({ policy }, i) => policy + partitions[i]?.text).join(", "),
      partitions: partitions.map(({ text }) => text),
    };
  };
  if (!meters.every(({ isSteady }) => isSteady)) return open;
  const known = new Keyed<Account, Principal>(accountsMax);
  return (exchange) => {
    const { principal } = exchange;
    if (principal.kind === "anonymous") return open(exchange);
    let account = known.get(principal);
    if (account === undefined) {
      account = open(exchange);
      known.set(principal, account);
    }
    return account;
  };
}
