import findMyWay from "find-my-way";
import { wrongGateway } from "./errors.ts";
import type { Endpoint } from "./exchange.ts";
import type { Texts } from "./query.ts";

/** What a path and a method lead to. `store` is null when the path's percent-encoding is broken. */
export interface Match {
  readonly store: Endpoint | null;
  readonly params: Texts;
}

/** The methods that a route may have. HEAD is served wherever GET is; OPTIONS by the edge, unless a route has it. */
export type RouteVerb = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";

const verbs: readonly RouteVerb[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Finds the endpoint of a request. Paths are compared letter by letter: `/a` and `/a/` differ. A static part wins over a
 * parameter, a parameter over a wildcard. Compiled by find-my-way into one function per method.
 */
export interface Router {
  /**
   * Throws StartError ROUTE_COLLISION, which names both owners. `owner` is how a message names the endpoint. `head` makes
   * the endpoint for HEAD of a path that has GET, unless one is added for itself.
   */
  add(verb: RouteVerb, path: string, endpoint: Endpoint, owner: string, head?: () => Endpoint): void;
  /** An endpoint that gives way to one that is added for itself, and says nothing when it does. */
  addSpare(verb: RouteVerb, path: string, endpoint: Endpoint): void;
  /** Call once, after the last `add`. */
  compile(): void;
  find(method: string, path: string): Match | null;
  /** The methods of a path, with HEAD and OPTIONS; empty when there is nothing at the path. */
  methodsOf(path: string): readonly string[];
  /** All methods that some path has. */
  readonly methods: readonly string[];
}

export function createRouter(urlLengthMax: number): Router {
  const router = findMyWay({
    caseSensitive: true,
    ignoreTrailingSlash: false,
    ignoreDuplicateSlashes: false,
    // The limit of the URL holds for its parts; patterns inside a path are not offered, so length costs nothing.
    maxParamLength: urlLengthMax,
    querystringParser: () => "",
    onBadUrl: () => {},
  });
  const owners = new Map<Endpoint, string>();
  const spares: Spare[] = [];
  const heads: (Pick<Spare, "path"> & { readonly of: Endpoint; readonly make: () => Endpoint })[] = [];
  const used = new Set<string>();
  let headOf: ((endpoint: Endpoint) => Endpoint) | undefined;

  const find = (verb: RouteVerb, path: string): Endpoint | undefined => {
    try {
      return router.findRoute(verb, path)?.store as Endpoint | undefined;
    } catch {
      // The path is no route at all.
      return undefined;
    }
  };
  const register = (verb: RouteVerb, path: string, endpoint: Endpoint, owner: string): void => {
    try {
      router.on(verb, path, nothing, endpoint);
    } catch (cause) {
      const known = find(verb, path);
      throw known
        ? wrongGateway(
            "ROUTE_COLLISION",
            `${owner} and ${owners.get(known)} both answer "${verb} ${path}" (names of parameters make no difference); change the path or the method of one.`,
          )
        : wrongGateway("ROUTE_INVALID", `${owner}: "${verb} ${path}" is no route: ${(cause as Error).message}.`, cause);
    }
    used.add(verb);
  };

  const match = (method: string, path: string): Match | null => {
    if (method !== "HEAD" || !headOf) return router.find(method as RouteVerb, path) as Match | null;
    const found = router.find("GET", path) as Match | null;
    return found?.store ? { store: headOf(found.store), params: found.params } : found;
  };

  return {
    add(verb, path, endpoint, owner, head) {
      if (/[(?]|::/.test(path)) {
        throw wrongGateway(
          "ROUTE_INVALID",
          `${owner}: "${verb} ${path}": patterns and optional parts are not possible in a path; write ":name" for a part that varies.`,
        );
      }
      register(verb, path, endpoint, owner);
      owners.set(endpoint, owner);
      if (head) heads.push({ path, of: endpoint, make: head });
    },
    addSpare: (verb, path, endpoint) => void spares.push({ verb, path, endpoint }),
    compile() {
      if (used.has("HEAD") || spares.some(({ verb }) => verb === "HEAD")) {
        spares.unshift(...heads.map(({ path, make }): Spare => ({ verb: "HEAD", path, endpoint: make() })));
      } else if (heads.length > 0) {
        headOf = headsWithGet(new Map(heads.map(({ of, make }) => [of, make])));
        used.add("HEAD");
      }
      // "/a/*" has "/a/" as well: a spare for that one gives way to it.
      const isSlashed = ({ path }: { readonly path: string }): boolean => path.length > 1 && path.endsWith("/");
      const inOrder = [...spares.filter((spare) => !isSlashed(spare)), ...spares.filter(isSlashed)];
      for (const spare of inOrder) {
        const { verb, path, endpoint } = spare;
        if (router.hasRoute(verb, path) || (isSlashed(spare) && router.hasRoute(verb, `${path}*`))) continue;
        register(verb, path, endpoint, path);
      }
      router.compile();
    },
    find: match,
    methodsOf(path) {
      const found: string[] = verbs.filter((verb) => {
        const endpoint = match(verb, path)?.store;
        return endpoint && !endpoint.isRefusal;
      });
      if (found.length > 0) found.push("OPTIONS");
      return found;
    },
    get methods() {
      return [...new Set([...used, "OPTIONS"])];
    },
  };
}

interface Spare {
  readonly verb: RouteVerb;
  readonly path: string;
  readonly endpoint: Endpoint;
}

/** Where no route has HEAD for itself, GET's tree finds both: one of its own would be as large, and nearly never used. */
function headsWithGet(makers: ReadonlyMap<Endpoint, () => Endpoint>): (endpoint: Endpoint) => Endpoint {
  const made = new Map<Endpoint, Endpoint>();
  return (endpoint) => {
    const head = made.get(endpoint) ?? makers.get(endpoint)?.() ?? endpoint;
    made.set(endpoint, head);
    return head;
  };
}

function nothing(): void {}
