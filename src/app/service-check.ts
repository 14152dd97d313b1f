import { parseDuration, StartError } from "../base/index.ts";
import { checkPartitions } from "../database/index.ts";
import { planSchedules } from "../events/index.ts";
import { compile } from "../schema/index.ts";
import type {
  AnyContract,
  EventDefinition,
  Operation,
  ServiceDefinition,
  SubscriptionOptions,
} from "../service/index.ts";
import { objectRuleOf, reservedContextNames } from "../service/index.ts";
import { toSchemaName } from "./databases.ts";

/** The part of `checkApp` that looks at one service: its contract, handlers, needs and subscriptions. */

/** What the name of a contract and its events must be, whoever provides it. */
export function checkContract({ name, events }: AnyContract, problems: string[]): void {
  const schema = toSchemaName(name);
  if (name === "gateway") {
    problems.push(`gateway: contract: placements call the HTTP edge by this name; choose another.`);
  } else if (/^(plinth_|pg_|information_schema$)/.test(schema)) {
    problems.push(
      `${name}: contract: its database schema would be "${schema}", which is not its own to have; choose another name.`,
    );
  } else if (schema.length > 63) {
    problems.push(
      `${name}: contract: its database schema would be "${schema}", longer than 63 characters; choose a shorter name.`,
    );
  }
  for (const { id, options } of Object.values(events)) {
    try {
      const { properties } = compile(options.payload).jsonSchema;
      if (properties && !Object.hasOwn(properties, options.key)) {
        problems.push(
          `${id}: key: the payload has no field "${options.key}"; name one of ${Object.keys(properties).join(", ")}.`,
        );
      }
    } catch (thrown) {
      problems.push(`${id}: payload: ${(thrown as Error).message}`);
    }
  }
}

export function checkService(
  service: ServiceDefinition,
  operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>,
  events: ReadonlyMap<string, EventDefinition>,
  problems: string[],
): void {
  const { name, methods, events: own } = service.contract;
  for (const method of Object.keys(methods)) {
    if (typeof service.methods[method] !== "function") {
      problems.push(
        `${name}.${method}: methods: the contract declares it but the service has no handler; add "async ${method}(request, context) { … }".`,
      );
    }
  }
  for (const method of Object.keys(service.methods)) {
    if (!Object.hasOwn(methods, method)) {
      problems.push(
        `${name}.${method}: methods: there is a handler but the contract has no such method; declare it in contract("${name}").`,
      );
    }
  }
  const hasDatabase = Object.values(service.needs).some((need) => need?.kind === "database");
  checkNeeds(service, operations, problems);
  checkResources(service, operations, problems);
  if (!hasDatabase) {
    for (const { id, keys } of operations.get(name)?.values() ?? []) {
      if (keys) {
        problems.push(
          `${id}: idempotent: the answer to a key is remembered in the transaction of its effect; add a database() to "needs" of ${name}.`,
        );
      }
    }
  }
  if (Object.keys(own).length > 0 && !hasDatabase) {
    problems.push(
      `${name}: events: events are written in the transaction of the change they tell of; add a database() to "needs".`,
    );
  }
  checkPartitioning(service, problems);
  const isSharded = Object.values(service.needs).some((need) => need?.kind === "database" && need.shardBy);
  if (isSharded && Object.keys({ ...service.subscriptions, ...service.schedules }).length > 0) {
    problems.push(
      `${name}: needs: with "shardBy" there is no one transaction in which an event or a tick could take effect; subscribe in a service without it, which calls this one.`,
    );
  }
  checkSubscriptions(service, events, hasDatabase, problems);
  checkSchedules(service, hasDatabase, problems);
}

function checkNeeds(
  service: ServiceDefinition,
  operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>,
  problems: string[],
): void {
  const { name } = service.contract;
  const needs = Object.entries(service.needs);
  if (needs.filter(([, need]) => need.kind === "database").length > 1) {
    problems.push(`${name}: needs: a service has one database of its own; use one database() and several tables.`);
  }
  for (const [field, need] of needs) {
    if (reservedContextNames.has(field)) {
      problems.push(`${name}: needs.${field}: the context already has "${field}"; choose another name.`);
    }
    if (need?.kind === undefined)
      problems.push(
        `${name}: needs.${field}: this is no need; use database(), cache(), secret(), setting(), tokens() or a contract.`,
      );
    if (need?.kind === "contract" && !operations.has(need.name)) {
      problems.push(
        `${name}: needs.${field}: nothing in the app provides "${need.name}"; add its service to app({ services }), or external(${need.name}, url).`,
      );
    }
  }
}

/** What only a service of ours can do for a contract. */
export function checkExternal(
  name: string,
  operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>,
  problems: string[],
): void {
  for (const { id, access } of operations.get(name)?.values() ?? []) {
    if (objectRuleOf(access)) {
      problems.push(
        `${id}: access.can: an outside service answers it, so nobody would ask this rule; put a service of your own before it, or remove "can".`,
      );
    }
  }
}

/** Each resource that a rule names can be found, and none is found for nothing. */
function checkResources(
  { contract, resources }: ServiceDefinition,
  operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>,
  problems: string[],
): void {
  const { name } = contract;
  const named = new Set<string>();
  for (const { id, access } of operations.get(name)?.values() ?? []) {
    const needed = objectRuleOf(access)?.resource?.name;
    if (needed === undefined) continue;
    named.add(needed);
    if (typeof resources[needed] !== "function") {
      problems.push(
        `${id}: access.resource: nothing says how "${needed}" is found; add "${needed}: (request, context) => …" to "resources" of ${name}.`,
      );
    }
  }
  for (const resource of Object.keys(resources)) {
    if (!named.has(resource)) {
      problems.push(`${name}: resources.${resource}: no access rule of the contract names it; remove it.`);
    }
  }
}

function checkPartitioning({ contract, needs }: ServiceDefinition, problems: string[]): void {
  for (const [field, need] of Object.entries(needs)) {
    if (need?.kind !== "database" || !need.partitions) continue;
    collect(`${contract.name}: needs.${field}: `, problems, () => checkPartitions(need.partitions ?? {}));
  }
}

/** Adds what a lower room says is wrong. */
function collect(where: string, problems: string[], check: () => unknown): void {
  try {
    check();
  } catch (thrown) {
    if (!(thrown instanceof StartError)) throw thrown;
    problems.push(...thrown.problems.map((problem) => `${where}${problem}`));
  }
}

function checkSubscriptions(
  service: ServiceDefinition,
  events: ReadonlyMap<string, EventDefinition>,
  hasDatabase: boolean,
  problems: string[],
): void {
  const { name } = service.contract;
  for (const [subscription, { event, ...options }] of Object.entries(service.subscriptions)) {
    if (event?.kind !== "event" || !event.id) {
      problems.push(
        `${name}: subscriptions.${subscription}.event: this is no event; use one of a contract, such as orders.OrderPlaced.`,
      );
    } else if (!events.has(event.id)) {
      problems.push(
        `${name}: subscriptions.${subscription}.event: nothing in the app publishes "${event.id}"; add the service "${event.service}" to app({ services }).`,
      );
    } else if (!hasDatabase) {
      problems.push(
        `${name}: subscriptions.${subscription}: an event takes effect once because a database remembers it; add a database() to "needs".`,
      );
    }
    checkSubscriptionOptions(`${name}: subscriptions.${subscription}`, options, problems);
  }
}

/** The limits of the events room, told here with everything else. */
function checkSubscriptionOptions(where: string, options: SubscriptionOptions, problems: string[]): void {
  const { concurrency, deadline, retries = [] } = options;
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 1000)) {
    problems.push(
      `${where}.concurrency: ${JSON.stringify(concurrency)} cannot be; give a whole number from 1 to 1000.`,
    );
  }
  const deadlineMs = deadline === undefined ? 1 : parseDuration(deadline);
  if (deadlineMs === undefined || deadlineMs < 1 || deadlineMs > 15 * 60_000) {
    problems.push(`${where}.deadline: ${JSON.stringify(deadline)} cannot be; give "1ms" to "15m", such as "30s".`);
  }
  if (!Array.isArray(retries) || retries.length > 20) {
    problems.push(`${where}.retries: give a list of at most 20 waits, such as ["1s", "30s"].`);
    return;
  }
  for (const wait of retries as readonly unknown[]) {
    const waitMs = parseDuration(wait);
    if (waitMs === undefined || waitMs > 24 * 3_600_000) {
      problems.push(`${where}.retries: ${JSON.stringify(wait)} is no wait; give at most "24h", such as "30s".`);
    }
  }
}

/** What the events room says of them, told here with everything else. */
function checkSchedules(service: ServiceDefinition, hasDatabase: boolean, problems: string[]): void {
  const { name } = service.contract;
  const schedules = Object.entries(service.schedules);
  if (schedules.length > 0 && !hasDatabase) {
    problems.push(
      `${name}: schedules: a tick takes effect once because a database remembers it; add a database() to "needs".`,
    );
  }
  collect("", problems, () =>
    planSchedules(
      schedules.map(([schedule, options]) => ({ ...options, name: schedule, handle: async () => {} })),
      name,
    ),
  );
}
