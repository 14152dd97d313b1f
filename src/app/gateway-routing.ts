import type { OutsideRoute, ServedAt, SplitOptions, VersionOptions } from "../gateway/index.ts";
import type { Operation } from "../service/index.ts";
import type { UpstreamOptions } from "../upstream/index.ts";
import { checkServiceSplits, variantsOf } from "./gateway-split.ts";

/** Where the gateway answers, and for whom: hosts, paths, versions, and outside systems behind it. */
export interface RoutingOptions {
  /** Hosts of this app: `["api.shop.example", "*.shop.example"]`. Requests for others are 421. Default: any. */
  readonly hosts?: readonly string[];
  /** Before the path of each method: `"/api"`. Routes to outside systems write theirs in full. */
  readonly prefix?: string;
  /** How clients say which version they mean, of methods and contracts that declare one. */
  readonly versions?: VersionOptions;
  /** Outside systems, by name. PLINTH_UPSTREAMS overrides where they are. */
  readonly upstreams?: Readonly<Record<string, UpstreamOptions>>;
  /** Requests shared out between several upstreams, or between services that answer the same routes, by name. */
  readonly splits?: Readonly<Record<string, SplitOptions>>;
  /** What of the outside is sent to them. */
  readonly routes?: readonly OutsideRoute[];
}

/** An outside system: `upstreams: { legacy: upstream({ targets: ["http://10.0.0.2:8080"] }) }`. */
export function upstream(options: UpstreamOptions): UpstreamOptions {
  return options;
}

/** Where a method is served. Never empty. */
export function servedAt({ prefix = "", versions }: RoutingOptions, operation: Operation): readonly ServedAt[] {
  const path = operation.route?.path ?? "";
  if (versions?.by === "media-type") {
    return [{ path: prefix + path, ...(isVersioned(operation) && { versions: operation.versions }) }];
  }
  if (operation.versions.length === 0) return [{ path: prefix + path }];
  return operation.versions.map((version) => ({ path: `${prefix}/v${version}${path}` }));
}

function isVersioned({ versions }: Operation): boolean {
  return versions.length > 0;
}

/** Adds what is wrong to `problems`: two methods at one place, names that are none. */
export function checkRouting(options: RoutingOptions, served: readonly Operation[], problems: string[]): void {
  const { prefix, versions } = options;
  if (prefix !== undefined && !/^(?:\/[A-Za-z0-9._~-]+)+$/.test(prefix)) {
    problems.push(
      `gateway: prefix: ${JSON.stringify(prefix)}: it begins with "/" and does not end with it, such as "/api".`,
    );
  }
  if (versions?.vendor !== undefined && !/^[a-z0-9][a-z0-9.-]{0,60}$/.test(versions.vendor)) {
    problems.push(
      `gateway: versions.vendor: ${JSON.stringify(versions.vendor)}: use small letters, digits and dashes.`,
    );
  }
  if (versions?.default !== undefined) {
    const known = new Set(served.flatMap((operation) => operation.versions));
    if (versions.by !== "media-type") {
      problems.push(
        'gateway: versions.default: a path names its version itself; remove it, or write by: "media-type".',
      );
    } else if (!known.has(versions.default)) {
      problems.push(`gateway: versions.default: no method is of version ${versions.default}.`);
    }
  }
  checkServiceSplits(options, served, problems);
  const variants = variantsOf(options, served);
  checkCollisions(
    options,
    served.filter((operation) => !variants.has(operation)),
    problems,
  );
}

function checkCollisions(options: RoutingOptions, served: readonly Operation[], problems: string[]): void {
  const taken = new Map<string, { readonly id: string; readonly versions: readonly number[] }[]>();
  for (const operation of served) {
    const { id, route } = operation;
    if (!route) continue;
    for (const { path, versions = [] } of servedAt(options, operation)) {
      const shape = `${route.verb} ${path.replaceAll(/:[^/]+/g, ":").replace(/(.)\/$/, "$1")}`;
      const others = taken.get(shape) ?? [];
      const other = others.find((each) => overlap(each.versions, versions));
      if (other) {
        problems.push(`${id}: http: "${route.verb} ${path}" is also the route of ${other.id}; change one of the two.`);
      } else taken.set(shape, [...others, { id, versions }]);
    }
  }
}

/** None means all that no other has: two of those answer the same. */
function overlap(some: readonly number[], others: readonly number[]): boolean {
  if (some.length === 0 || others.length === 0) return some.length === others.length;
  return some.some((version) => others.includes(version));
}
