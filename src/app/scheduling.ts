import type { Clock, Random } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { CrashPoint, Scheduler } from "../events/index.ts";
import { createScheduler } from "../events/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { ServiceDefinition, ServiceUnit } from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";

/** The schedules of one process: for each service here that has any, a scheduler, which leads or waits its turn. */
export interface SchedulingOptions {
  /** Those that live here. */
  readonly services: readonly ServiceDefinition[];
  readonly units: ReadonlyMap<string, ServiceUnit>;
  /** The process, as those who look at a lease see it. */
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly crashPoint: CrashPoint;
  databaseOf(service: string): Database;
}

export function createSchedulers(options: SchedulingOptions): ReadonlyMap<string, Scheduler> {
  const { owner, clock, random, log, crashPoint } = options;
  const schedulers = new Map<string, Scheduler>();
  for (const service of options.services) {
    const { name } = service.contract;
    const schedules = Object.entries(service.schedules);
    const unit = options.units.get(name);
    if (schedules.length === 0 || !unit) continue;
    const scheduler = createScheduler({
      service: name,
      database: options.databaseOf(name),
      owner,
      clock,
      random,
      log: log.child({ service: name }),
      crashPoint,
      schedules: schedules.map(([schedule, { handle: _handle, ...rest }]) => ({
        ...rest,
        name: schedule,
        handle: async ({ scope, tx, scheduledAt }) => {
          await unit.schedules.get(schedule)?.({ scope, tx, scheduledAt: scheduledAt.toISOString() });
        },
      })),
    });
    schedulers.set(name, scheduler);
  }
  return schedulers;
}

/** Begins when all that a handler may need is there, and lets another process lead as soon as this one takes its leave. */
export function scheduleComponent(schedulers: ReadonlyMap<string, Scheduler>, needs: readonly string[]): Component {
  const drain = async (signal?: AbortSignal): Promise<void> => {
    await Promise.all([...schedulers.values()].map((scheduler) => scheduler.drain(signal)));
  };
  return {
    name: "schedules",
    needs,
    async start() {
      for (const scheduler of schedulers.values()) await scheduler.start();
    },
    quiesce: () => void drain(),
    drain,
    stop: () => drain(),
  };
}
