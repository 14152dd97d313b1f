import type { Clock, Random } from "../base/index.ts";
import { error, systemClock } from "../base/index.ts";
import type { Broker } from "./driver.ts";
import { Redeliver } from "./redeliver.ts";

export interface FaultyBrokerOptions {
  readonly random: Random;
  readonly clock?: Clock;
  /** Share of publishes that fail, 0 to 1: half of them before the messages arrived, half after. */
  readonly publishFailureRate?: number;
  /** Share of messages that are published twice. */
  readonly duplicateRate?: number;
  /** Share of deliveries whose acknowledgement is lost: the handler succeeded, and the message comes again. */
  readonly ackLossRate?: number;
  /** Deliveries wait up to this long. */
  readonly delayMsMax?: number;
}

/** Any broker, with the faults that the port allows: a consumer that is right must not care. */
export function createFaultyBroker(broker: Broker, options: FaultyBrokerOptions): Broker {
  const {
    random,
    clock = systemClock,
    publishFailureRate = 0,
    duplicateRate = 0,
    ackLossRate = 0,
    delayMsMax = 0,
  } = options;
  const happens = (rate: number): boolean => random.next() < rate;
  const failure = () =>
    error("unavailable", "The broker did not answer.", { reason: "BROKER_FAULT", executed: "maybe" });

  // `joins` is left out on purpose: a publish that is part of a transaction cannot fail halfway.
  return {
    name: `faulty ${broker.name}`,
    flags: broker.flags,
    open: () => broker.open(),
    ensure: (specs) => broker.ensure(specs),
    async publish(messages) {
      const fails = happens(publishFailureRate);
      if (fails && happens(0.5)) throw failure();
      await broker.publish(messages);
      const again = messages.filter(() => happens(duplicateRate));
      if (again.length > 0) await broker.publish(again);
      if (fails) throw failure();
    },
    subscribe: (subscriber, deliver) =>
      broker.subscribe(subscriber, async (delivery) => {
        if (delayMsMax > 0) await clock.sleep(random.next() * delayMsMax);
        await deliver(delivery);
        if (happens(ackLossRate)) throw new Redeliver(random.next() * delayMsMax, { counted: false });
      }),
    stats: () => broker.stats(),
    ...(broker.retentionMs !== undefined && { retentionMs: broker.retentionMs }),
    ...(broker.replay && { replay: broker.replay }),
    ...(broker.planReplay && { planReplay: broker.planReplay }),
    ...(broker.retire && { retire: broker.retire }),
    close: () => broker.close(),
  };
}
