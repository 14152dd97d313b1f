import type { Demand } from "../limits/index.ts";
import { Keyed } from "../limits/index.ts";
import type { LimitCost, LimitPlan } from "../service/index.ts";
import { limitCostInvalid } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { HeaderItem } from "./rate-limit-headers.ts";
import { headerItem } from "./rate-limit-headers.ts";
import type { PartitionOf } from "./rate-limit-partition.ts";
import { compilePartition, partitionName } from "./rate-limit-partition.ts";

/** One limit on one route: says what a request takes, and from whom. */
export interface Meter {
  readonly name: string;
  read(exchange: Exchange): Reading;
  cost(exchange: Exchange): number;
}

/** What is known of a partition once it was seen. */
export interface Reading {
  /** For a request that costs as much as is declared. */
  readonly demand: Demand;
  readonly item: HeaderItem;
  /** The partition's name in the store. */
  readonly partition: string;
}

/** Partitions of which the texts are remembered, for each limit. Forgotten ones are made again. */
const readingsMax = 4096;

/** `id`: what the counters are called in the store. */
export function createMeter(id: string, plan: LimitPlan, cost: LimitCost = plan.cost): Meter {
  const { name, rule, windowSeconds } = plan;
  const partitionOf: PartitionOf = compilePartition(plan.by);
  const known = new Keyed<Reading>(readingsMax);
  const declared = typeof cost === "number" ? cost : 1;
  return {
    name,
    read(exchange) {
      const text = partitionOf(exchange);
      const found = known.get(text);
      if (found !== undefined) return found;
      const { key, pk } = partitionName(text);
      const reading: Reading = {
        demand: { key: `${id}:${key}`, rule, cost: declared },
        item: headerItem(name, rule, windowSeconds, pk),
        partition: key,
      };
      known.set(text, reading);
      return reading;
    },
    cost: typeof cost === "number" ? () => cost : (exchange) => costOf(name, cost, exchange),
  };
}

const costMax = 1_000_000_000;

function costOf(name: string, cost: Exclude<LimitCost, number>, exchange: Exchange): number {
  const { principal, headers } = exchange;
  const units = cost({ principal, headers, query: new URLSearchParams(exchange.query) });
  if (!(units >= 0)) throw limitCostInvalid(name, units);
  // What nobody has is refused; it need not be counted exactly.
  return Math.min(Math.ceil(units), costMax);
}
