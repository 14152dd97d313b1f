import type { GatewayRoute, SplitOptions } from "../gateway/index.ts";
import { checkSplit } from "../gateway/index.ts";
import type { LimitPlan, Operation } from "../service/index.ts";

/** What an app says of splits. */
interface SplitDeclarations {
  readonly splits?: Readonly<Record<string, SplitOptions>>;
}

/**
 * Splits between services: a second service answers the routes of the first, such as its next version or a group of its
 * own, and gets a share of the requests. The first of `between` owns the routes and is what documents show; what another
 * does not answer stays with the first. Who may call must be the same, or a share of the requests would be let in by luck;
 * and so must limits, which count for all of them together.
 */
export function serviceSplitsOf(
  { splits = {} }: SplitDeclarations,
  served: readonly Operation[],
): Readonly<Record<string, SplitOptions>> {
  const services = new Set(served.map(({ service }) => service));
  return Object.fromEntries(
    Object.entries(splits).filter(([, { between }]) => between.some((name) => services.has(name))),
  );
}

/** The operations that stand in for one of the first service of their split: they have no place of their own. */
export function variantsOf(options: SplitDeclarations, served: readonly Operation[]): ReadonlySet<Operation> {
  const variants = new Set<Operation>();
  for (const { between } of Object.values(serviceSplitsOf(options, served))) {
    const [first, ...others] = between;
    const owned = new Set(served.filter(({ service }) => service === first).map(placeOf));
    for (const operation of served) {
      if (others.includes(operation.service) && owned.has(placeOf(operation))) variants.add(operation);
    }
  }
  return variants;
}

/** Adds what is wrong to `problems`. */
export function checkServiceSplits(options: SplitDeclarations, served: readonly Operation[], problems: string[]): void {
  const services = new Set(served.map(({ service }) => service));
  for (const [name, split] of Object.entries(serviceSplitsOf(options, served))) {
    const where = `gateway: splits.${name}`;
    if (split.between.length < 2) problems.push(`${where}.between: name two or more services.`);
    const foreign = split.between.filter((each) => !services.has(each));
    if (foreign.length > 0) {
      problems.push(
        `${where}.between: ${foreign.join(", ")}: no service with routes has this name; a split is between services or between upstreams.`,
      );
    }
    if (split.sticky === "principal") {
      problems.push(`${where}.sticky: who calls is not known before a service is chosen; use a cookie or a header.`);
    }
    checkSplit(where, split.between, split, problems);
    checkAlike(where, split.between, served, problems);
  }
}

function checkAlike(where: string, between: readonly string[], served: readonly Operation[], problems: string[]): void {
  const [first, ...others] = between;
  for (const operation of served.filter(({ service }) => others.includes(service))) {
    const own = served.find((each) => each.service === first && placeOf(each) === placeOf(operation));
    if (!own) continue;
    if (JSON.stringify(own.access) !== JSON.stringify(operation.access) || hasRule(own) || hasRule(operation)) {
      problems.push(
        `${where}: ${operation.id} stands in for ${own.id} and must have the same access, without "can": a share of the requests would be let in by another rule.`,
      );
    }
    if (!hasSameLimits(own, operation)) {
      problems.push(
        `${where}: ${operation.id} stands in for ${own.id} and must have the same limits, which count for both together; a cost that is a function must be one for both.`,
      );
    }
    if (own.kind !== operation.kind) problems.push(`${where}: ${operation.id} and ${own.id} are of different kinds.`);
  }
}

function hasRule({ access }: Operation): boolean {
  return typeof access === "object" && "can" in access;
}

/** Names aside: those of the first are told. */
function hasSameLimits({ limits: first }: Operation, { limits: other }: Operation): boolean {
  if (!first || !other) return first === other;
  const isSame = (a: LimitPlan, b: LimitPlan | undefined): boolean =>
    b !== undefined &&
    a.cost === b.cost &&
    JSON.stringify([a.by, a.rule, a.perRoute]) === JSON.stringify([b.by, b.rule, b.perRoute]);
  return (
    first.own.length === other.own.length &&
    first.own.every((each, i) => isSame(each, other.own[i])) &&
    first.sharedCosts.size === other.sharedCosts.size &&
    [...first.sharedCosts].every(([name, cost]) => other.sharedCosts.get(name) === cost)
  );
}

/** Verb, path without the names of parameters, and versions: what two operations have alike that answer the same. */
function placeOf({ route, versions }: Operation): string {
  return `${route?.verb} ${route?.path.replaceAll(/:[^/]+/g, ":")} ${versions.join()}`;
}

/** Routes of variants go into those that they stand in for. */
export function withVariants(options: SplitDeclarations, routes: readonly GatewayRoute[]): readonly GatewayRoute[] {
  const served = routes.map(({ operation }) => operation);
  const splits = Object.entries(serviceSplitsOf(options, served));
  if (splits.length === 0) return routes;
  const variants = variantsOf(options, served);
  return routes.flatMap((route) => {
    if (variants.has(route.operation)) return [];
    const [name, split] = splits.find(([, { between }]) => between[0] === route.operation.service) ?? [];
    if (name === undefined || !split) return [route];
    const chosen = split.between.map(
      (service) =>
        routes.find(
          ({ operation }) => operation.service === service && placeOf(operation) === placeOf(route.operation),
        ) ?? route,
    );
    return [{ ...route, variants: { split: name, routes: chosen } }];
  });
}
