import { StartError } from "../base/index.ts";
import type { EventDefinition, Operation } from "../service/index.ts";
import { compileOperations } from "../service/index.ts";
import type { App } from "./app.ts";
import { checkRouting } from "./gateway-routing.ts";
import type { CheckedLimits } from "./limits.ts";
import { checkLimits } from "./limits.ts";
import { checkProvider } from "./provider-check.ts";
import { checkContract, checkExternal, checkService } from "./service-check.ts";

/**
 * Finds everything that is wrong with an app before anything starts. Each problem names the service, the field and the
 * remedy, and all are told at once.
 */
export interface CheckedApp {
  readonly app: App;
  /** By service name, then method name. */
  readonly operations: ReadonlyMap<string, ReadonlyMap<string, Operation>>;
  /** What the gateway serves: every method with a route, of outside services where they say so. */
  readonly served: readonly Operation[];
  readonly events: ReadonlyMap<string, EventDefinition>;
  /** What the gateway limits over all routes. */
  readonly limits: CheckedLimits;
}

/** Compiles the app's methods; throws a StartError that lists every problem. */
export function checkApp(definition: App): CheckedApp {
  const problems: string[] = [];
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(definition.name)) {
    problems.push(
      `app: name: ${JSON.stringify(definition.name)} is no name; use small letters, digits and dashes, such as "shop".`,
    );
  }
  const operations = new Map<string, ReadonlyMap<string, Operation>>();
  const events = new Map<string, EventDefinition>();
  for (const { contract } of definition.services) {
    if (operations.has(contract.name)) {
      problems.push(`${contract.name}: services: two services have this name; rename one contract or list it once.`);
      continue;
    }
    checkContract(contract, problems);
    operations.set(contract.name, compileOperations(contract, problems));
    for (const declared of Object.values(contract.events)) events.set(declared.id, declared);
  }
  for (const service of definition.services) {
    if (service.kind === "service") checkService(service, operations, events, problems);
    else checkExternal(service.contract.name, operations, problems);
  }
  const hidden = new Set(
    definition.services.flatMap((each) => (each.kind === "external" && !each.served ? [each.contract.name] : [])),
  );
  const served = [...operations].flatMap(([name, methods]) =>
    hidden.has(name) ? [] : [...methods.values()].filter(({ route }) => route),
  );
  checkRouting(definition.gateway, served, problems);
  checkPlacement(definition, problems);
  const limits = checkLimits(definition.gateway, problems);
  checkProvider(definition, served, problems);
  if (problems.length > 0) throw new StartError("APP_INVALID", problems);
  return { app: definition, operations, served, events, limits };
}

function checkPlacement(definition: App, problems: string[]): void {
  if (!definition.placement) return;
  const names = new Set([...definition.services.map((service) => service.contract.name), "gateway"]);
  const placed = new Map<string, string>();
  for (const [group, members] of Object.entries(definition.placement)) {
    if (!/^[a-z][a-z0-9-]{0,40}$/.test(group))
      problems.push(`app: placement: "${group}" is no group name; use small letters, digits and dashes.`);
    for (const member of members) {
      const other = placed.get(member);
      if (!names.has(member))
        problems.push(
          `app: placement.${group}: there is no service "${member}"; the app has ${[...names].join(", ")}.`,
        );
      else if (other !== undefined && member !== "gateway") {
        problems.push(`app: placement.${group}: "${member}" is already in "${other}"; a service belongs to one group.`);
      }
      placed.set(member, group);
    }
  }
  for (const service of definition.services) {
    const { name } = service.contract;
    if (service.kind === "service" && !placed.has(name))
      problems.push(`app: placement: "${name}" is in no group; add it to one.`);
  }
  if (!placed.has("gateway") && names.size > 1)
    problems.push(`app: placement: no group has "gateway", so nothing serves HTTP; add "gateway" to one.`);
}
