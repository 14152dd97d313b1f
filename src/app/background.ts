import { StartError } from "../base/index.ts";
import type { Broker, Relay, Scheduler, TickReport } from "../events/index.ts";

/** What a process does by itself, for tests and tools that wait for it or set it off. */
export interface Background {
  /** Events on their way: those in an outbox of a service here, and those that a subscription of the app has not taken. */
  underWay(): Promise<readonly UnderWay[]>;
  /** Runs a schedule of a service here out of turn, and waits until it is over. StartError SCHEDULES_ABSENT where there is none. */
  runSchedule(service: string, schedule: string): Promise<TickReport>;
}

export interface UnderWay {
  /** `"outbox of cart"`, or a subscription: `"email.sendMail"`. */
  readonly where: string;
  /** More than 0. */
  readonly count: number;
}

export interface BackgroundParts {
  readonly broker: Broker | undefined;
  readonly relays: (() => readonly Relay[]) | undefined;
  readonly schedulers: ReadonlyMap<string, Scheduler>;
}

export function createBackground({ broker, relays, schedulers }: BackgroundParts): Background {
  return {
    async underWay() {
      const outboxes = () => Promise.all((relays?.() ?? []).map((relay) => relay.stats()));
      const before = await outboxes();
      const subscriptions = (await broker?.stats()) ?? [];
      // What was published meanwhile, by a handler that ended meanwhile, was in neither when it was asked.
      const after = await outboxes();
      return [
        ...after.map(({ service, unpublishedCount, publishedCount }, i) => ({
          where: `outbox of ${service}`,
          count: unpublishedCount + publishedCount - (before[i]?.publishedCount ?? 0),
        })),
        ...subscriptions.map(({ subscription: where, pendingCount: count }) => ({ where, count })),
      ].filter(({ count }) => count > 0);
    },
    async runSchedule(service, schedule) {
      const scheduler = schedulers.get(service);
      if (!scheduler) {
        const known = [...schedulers.keys()].join(", ") || "none";
        throw new StartError(
          "SCHEDULES_ABSENT",
          `${service}: no such service with schedules lives in this process; there is ${known}.`,
        );
      }
      return scheduler.runNow(schedule);
    },
  };
}
