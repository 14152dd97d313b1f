import type { Broker, BrokerFlags } from "./driver.ts";

/** Where a case happens: an empty broker of its own. */
export interface BrokerWorld {
  /** An opened broker on the world's store: each time as another process would have it, where the driver can. */
  connect(): Promise<Broker>;
  /** Cuts a broker off as if its process had been killed: it can say nothing more. Present where `kills` says so. */
  kill?(broker: Broker): Promise<void>;
  /** Ends everything. */
  dispose(): Promise<void>;
}

/** A case before it is bound to a driver. `needs` names that without which it says nothing. */
export interface BrokerClaim {
  readonly name: string;
  readonly needs?: readonly (keyof BrokerFlags | "kills")[];
  run(world: BrokerWorld, waitMsMax: number): Promise<void>;
}
