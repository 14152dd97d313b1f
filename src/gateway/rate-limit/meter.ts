import type { Demand } from "../../limits/index.ts";
import type { LimitCost, LimitPlan } from "../../service/index.ts";
import { limitCostInvalid } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { policyText, stateBeginning } from "./headers.ts";
import type { Partition, PartitionOf } from "./partition.ts";

/** One limit on one route: says what a request takes, and from whom. */
export interface Meter {
  readonly name: string;
  readonly partitionOf: PartitionOf;
  /** Takes as much of the same from all requests of one principal. */
  readonly isSteady: boolean;
  demand(exchange: Exchange, partition: Partition): Demand;
  /** What headers say of it, all but the partition and the numbers. */
  readonly policy: string;
  readonly stateBeginning: string;
}

/** `id`: what the counters are called in the store. */
export function createMeter(id: string, plan: LimitPlan, partitionOf: PartitionOf, cost: LimitCost): Meter {
  const { name, by, rule, windowSeconds } = plan;
  return {
    name,
    partitionOf,
    isSteady: by !== "address" && typeof cost === "number",
    demand: (exchange, { key }) => ({
      key: `${id}:${key}`,
      rule,
      cost: typeof cost === "number" ? cost : costOf(name, cost, exchange),
    }),
    policy: policyText(name, rule, windowSeconds),
    stateBeginning: stateBeginning(name),
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
