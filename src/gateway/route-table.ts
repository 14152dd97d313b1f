import { hostUnknown, requestMalformed, wrongGateway } from "./errors.ts";
import { memoize } from "./memo.ts";
import type { Match, Router } from "./router.ts";
import { createRouter } from "./router.ts";

/**
 * The routes of a gateway by host. A request finds those of its exact host first, then those of wildcards (`*.shop.example`
 * stands for one label or more; the longest wins), then those of no host in particular.
 *
 * `hosts` are where the routes of no host in particular are served; without them everywhere. As soon as the gateway knows
 * hosts, a request for another one is 421, and what is no host at all is 400: nothing is answered in the name of a host
 * that somebody made up.
 *
 * A gateway without hosts has one router and looks at no host.
 */
export interface RouteTable {
  /** Where routes of a host are added; undefined for those of no host in particular. */
  at(host: string | undefined): Router;
  /** Call once, after the last route. */
  compile(): void;
  /** The one router of a gateway without hosts. */
  readonly only: Router | undefined;
  /** What a `Host` header leads to. Throws 400 or 421. */
  of(host: string | undefined): Router;
}

/** Throws StartError ROUTE_INVALID for a host that is none. */
export function createRouteTable(urlLengthMax: number, hosts: readonly string[] | undefined): RouteTable {
  const anywhere = createRouter(urlLengthMax);
  const byHost = new Map<string, Router>();
  const own = new Set((hosts ?? []).map((host) => checkHost(host, "gateway: hosts")));
  let patterns: readonly Layer[] = [];

  const layersOf = (name: string): Router => {
    const found = patterns.filter(({ matches }) => matches(name));
    if (found.length === 0 && own.size > 0) throw hostUnknown();
    const isOwn = own.size === 0 || found.some(({ pattern }) => own.has(pattern));
    const routers = found.flatMap(({ router }) => (router ? [router] : []));
    return layered(isOwn ? [...routers, anywhere] : routers);
  };
  /** By host without its port, so that a client cannot fill it with ports. */
  const remembered = memoize(layersOf);

  return {
    at(host) {
      if (host === undefined) return anywhere;
      const pattern = checkHost(host, "gateway: routes: host");
      const known = byHost.get(pattern);
      if (known) return known;
      const made = createRouter(urlLengthMax);
      byHost.set(pattern, made);
      return made;
    },
    compile() {
      anywhere.compile();
      for (const router of byHost.values()) router.compile();
      patterns = [...new Set([...byHost.keys(), ...own])].sort(bySpecificity).map((pattern) => ({
        pattern,
        matches: pattern.startsWith("*.") ? (name) => name.endsWith(pattern.slice(1)) : (name) => name === pattern,
        router: byHost.get(pattern),
      }));
    },
    get only() {
      return byHost.size === 0 && own.size === 0 ? anywhere : undefined;
    },
    of: (host) => remembered(hostName(host)),
  };
}

interface Layer {
  readonly pattern: string;
  readonly router: Router | undefined;
  matches(name: string): boolean;
}

/** Exact hosts before wildcards, longer ones before shorter ones. */
function bySpecificity(a: string, b: string): number {
  return Number(a.startsWith("*")) - Number(b.startsWith("*")) || b.length - a.length;
}

/** The first router that has an answer gives it. */
function layered(routers: readonly Router[]): Router {
  const [first] = routers;
  if (first && routers.length === 1) return first;
  return {
    add: () => {},
    addSpare: () => {},
    compile: () => {},
    find(method, path) {
      let broken: Match | null = null;
      for (const router of routers) {
        const match = router.find(method, path);
        if (match?.store) return match;
        broken ??= match;
      }
      return broken;
    },
    methodsOf: (path) => [...new Set(routers.flatMap((router) => router.methodsOf(path)))],
    get methods() {
      return [...new Set(routers.flatMap((router) => router.methods))];
    },
  };
}

const label = "[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?";
const namePattern = new RegExp(`^(?:${label}\\.)*${label}$`);
const hostPattern = new RegExp(`^(?:\\*\\.)?(?:${label}\\.)*${label}$`);
const addressPattern = /^\[[0-9a-f:.]+\]$/;

function checkHost(host: string, where: string): string {
  const isHost = host.length <= 253 && (hostPattern.test(host) || addressPattern.test(host));
  if (isHost && host !== "*") return host;
  throw wrongGateway(
    "ROUTE_INVALID",
    `${where}: ${JSON.stringify(host)} is no host; write a name in small letters without a port, such as "api.shop.example" or "*.shop.example".`,
  );
}

/** The name in a `Host` header: in small letters, without its port and the dot of the root. Throws 400. */
export function hostName(host: string | undefined): string {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]@/?#\s]+?)\.?(?::(\d{1,5}))?$/.exec(host ?? "");
  const name = match?.[1]?.toLowerCase() ?? "";
  if (name.length <= 253 && (namePattern.test(name) || addressPattern.test(name))) return name;
  throw requestMalformed("its Host header is no host");
}
