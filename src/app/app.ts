import { StartError } from "../base/index.ts";
import type { CorsOptions, CsrfOptions, InspectOptions, Mount, TrustedProxiesOptions } from "../gateway/index.ts";
import type { IdentityOptions } from "../identity/index.ts";
import type { ProviderDefinition } from "../provider/index.ts";
import type { ExternalService, ServiceDefinition } from "../service/index.ts";
import type { RoutingOptions } from "./gateway-routing.ts";
import type { LimitOptions } from "./limits.ts";
import type { OverloadGuarding } from "./overload.ts";
import type { TransportOptions } from "./transport.ts";

/**
 * The whole: which services there are, how the outside reaches them, and how they are grouped into processes.
 *
 * `app` only declares. `createRuntime` (runtime.ts) starts it, `buildModel` (model.ts) turns it into plain data, and both
 * refuse a wrong app with every problem named at once (`checkApp`).
 */
export interface AppOptions<Services extends readonly AppService[]> {
  /** Small letters, digits and dashes; used in addresses and file names. */
  readonly name: string;
  /** Shown in documents. Default "0.0.0". */
  readonly version?: string;
  readonly services: Services;
  readonly gateway?: GatewayOptions;
  /**
   * Which services share a process, by group. A group that lists `"gateway"` serves HTTP to the outside. Without a
   * placement everything shares one process; with one, `plinth start` still runs all groups in one, and
   * `plinth start --group NAME` or `--split` runs them apart.
   */
  readonly placement?: Readonly<Record<string, readonly (NameOf<Services[number]> | "gateway")[]>>;
}

export interface GatewayOptions extends LimitOptions, RoutingOptions, OverloadGuarding {
  /** Whose tokens are taken, beside those that the app signs itself; with `provider`, people sign in to the app itself. */
  readonly identity?: IdentityOptions & { readonly provider?: ProviderDefinition };
  /** Proxies that are believed when they say where a request comes from. Default: none. PLINTH_TRUSTED_PROXIES overrides it. */
  readonly trustedProxies?: TrustedProxiesOptions;
  /** Certificates, or which proxy ends TLS. Default: plain HTTP, for development and behind a proxy. PLINTH_TLS_CERT turns it on. */
  readonly tls?: TransportOptions;
  readonly cors?: CorsOptions;
  /** Keeps pages of other origins from acting for users whom mounts, outside systems or raw methods know by a cookie. */
  readonly csrf?: CsrfOptions;
  /** Looks for shapes of attacks in requests. Default: not. */
  readonly inspect?: InspectOptions;
  /** Existing Express, Fastify or plain node:http handlers, served under a path of this app. */
  readonly mounts?: readonly Mount[];
  /** API reference at `/docs` and the OpenAPI document at `/openapi.json`. Default true. */
  readonly docs?: boolean;
}

export type AppService = ServiceDefinition | ExternalService;

type NameOf<S> = S extends { readonly contract: { readonly name: infer N extends string } } ? N : never;

export interface App {
  readonly kind: "app";
  readonly name: string;
  readonly version: string;
  readonly services: readonly AppService[];
  readonly gateway: GatewayOptions;
  readonly placement: Readonly<Record<string, readonly string[]>> | undefined;
}

export function app<const Services extends readonly AppService[]>(options: AppOptions<Services>): App {
  return {
    kind: "app",
    name: options.name,
    version: options.version ?? "0.0.0",
    services: options.services,
    gateway: options.gateway ?? {},
    placement: options.placement as App["placement"],
  };
}

/** The group that runs everything when no placement is declared. */
export const wholeGroup = "all";

/** The groups of an app, each with its members. */
export function groupsOf(definition: App): ReadonlyMap<string, readonly string[]> {
  const everything = [...definition.services.map((service) => service.contract.name), "gateway"];
  return new Map(Object.entries(definition.placement ?? { [wholeGroup]: everything }));
}

/** The members of one group; every member for undefined. Throws when there is no such group. */
export function membersOf(definition: App, group: string | undefined): ReadonlySet<string> {
  const groups = groupsOf(definition);
  if (group === undefined) return new Set([...groups.values()].flat());
  const members = groups.get(group);
  if (!members) {
    const known = [...groups.keys()].map((name) => `"${name}"`).join(", ");
    throw new StartError(
      "GROUP_UNKNOWN",
      `There is no group "${group}" in "${definition.name}"; its placement has ${known}.`,
    );
  }
  return new Set(members);
}
