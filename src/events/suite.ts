import type { BrokerFlags } from "./driver.ts";
import type { BrokerClaim, BrokerWorld } from "./suite-claim.ts";
import { deliveryCases } from "./suite-delivery.ts";
import { endCases } from "./suite-end.ts";
import { loadCases } from "./suite-load.ts";
import { orderCases } from "./suite-order.ts";
import { replayCases } from "./suite-replay.ts";

/**
 * The proof that a broker keeps the port's promises, as data: a loop in any test runner, and `plinth verify engine`
 * on a user's own server, run the same cases.
 */
export interface BrokerCase {
  readonly name: string;
  run(): Promise<void>;
}

export interface BrokerSuiteOptions {
  readonly flags: BrokerFlags;
  /** The worlds can kill a broker: what dies is delivered again. */
  readonly kills?: boolean;
  /** Makes an empty world. Leases in it are best short, a second or so. */
  make(): Promise<BrokerWorld>;
  /** How long a case may wait for what must happen. Default 10 s. */
  readonly waitMsMax?: number;
}

/** The cases that the flags promise. Each makes a world of its own, and takes it down. */
export function brokerSuite({
  flags,
  kills = false,
  make,
  waitMsMax = 10_000,
}: BrokerSuiteOptions): readonly BrokerCase[] {
  const claims: readonly BrokerClaim[] = [...deliveryCases, ...orderCases, ...endCases, ...loadCases, ...replayCases];
  const given: Readonly<Record<string, boolean>> = { ...flags, kills };
  return claims
    .filter(({ needs = [] }) => needs.every((need) => given[need]))
    .map(({ name, run }) => ({
      name,
      async run() {
        const world = await make();
        try {
          await run(world, waitMsMax);
        } finally {
          await world.dispose();
        }
      },
    }));
}
