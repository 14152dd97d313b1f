import type { Cors } from "./cors.ts";
import type { MountedEndpoint } from "./endpoints.ts";
import { methodNotAllowed, methodNotImplemented, routeNotFound, urlMalformed } from "./errors.ts";
import type { Endpoint, Exchange } from "./exchange.ts";
import { extendHead } from "./extras.ts";
import { headTemplate, withoutLength } from "./head.ts";
import { isUnder } from "./mount.ts";
import type { Router } from "./router.ts";
import type { EdgeMetrics } from "./signals.ts";
import { methodLabel } from "./signals.ts";

/** Finds who answers what no route took: a mount, or the edge itself (OPTIONS, 404, 405, 501). Never on the fast path. */
export interface Fallbacks {
  /** `isForeign`: nothing here knows the path, so an outer app may have it. */
  find(router: Router, method: string, path: string): { readonly endpoint: Endpoint; readonly isForeign: boolean };
  /** An endpoint that answers with what `refuse` throws. */
  refusal(method: string, refuse: () => Error): Endpoint;
}

export interface FallbackOptions {
  readonly mounts: readonly MountedEndpoint[];
  readonly metrics: EdgeMetrics;
  readonly headers: ReadonlyMap<string, string>;
  readonly cors: Cors | undefined;
}

export function createFallbacks(options: FallbackOptions): Fallbacks {
  const { metrics, cors } = options;
  // The longest path first: "/legacy/new" before "/legacy".
  const mounts = [...options.mounts].sort((a, b) => b.path.length - a.path.length);
  const optionsHead = withoutLength(headTemplate(options.headers, {}));
  const observers = new Map<string, Endpoint["observe"]>();

  const endpointOf = (method: string, serve: Endpoint["serve"]): Endpoint => {
    const label = methodLabel(method);
    let observe = observers.get(label);
    if (!observe) {
      observe = metrics.observe(label, "");
      observers.set(label, observe);
    }
    return { route: "", spanName: label === "_OTHER" ? "HTTP" : label, observe, serve };
  };
  const refusal = (method: string, refuse: () => Error): Endpoint =>
    endpointOf(method, () => {
      throw refuse();
    });

  const answerOptions = (methods: readonly string[]) => (exchange: Exchange) => {
    const { headers } = exchange;
    const head = optionsHead.slice();
    const isPreflight = headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
    if (cors && isPreflight) {
      // A preflight's own `vary` takes the place of the usual one.
      const at = head.indexOf("vary");
      if (at !== -1) head.splice(at, 2);
      head.push("allow", methods.join(", "), ...cors.preflight(headers.origin as string, methods));
    } else {
      extendHead(exchange, head);
      head.push("allow", methods.join(", "));
    }
    exchange.answer(204, head, undefined, 0);
  };

  /** `OPTIONS *` asks what the server as a whole can do; no other method takes the asterisk. */
  const asterisk = (router: Router, method: string): Endpoint =>
    method === "OPTIONS"
      ? endpointOf(method, answerOptions(router.methods))
      : refusal(method, () => urlMalformed("only OPTIONS takes the asterisk"));

  return {
    refusal,
    find(router, method, path) {
      if (path === "*") return { endpoint: asterisk(router, method), isForeign: false };
      const mount = mounts.find((candidate) => isUnder(candidate.path, path));
      if (mount) return { endpoint: mount.endpointOf(methodLabel(method)), isForeign: false };
      if (!isDecodable(path)) {
        const broken = () => urlMalformed("the path has broken percent-encoding");
        return { endpoint: refusal(method, broken), isForeign: true };
      }
      const methods = router.methodsOf(path);
      if (methods.length === 0) {
        const isKnown = router.methods.includes(method) || knownMethods.has(method);
        return { endpoint: refusal(method, isKnown ? routeNotFound : methodNotImplemented), isForeign: true };
      }
      if (method === "OPTIONS") return { endpoint: endpointOf(method, answerOptions(methods)), isForeign: false };
      const refuse = knownMethods.has(method) ? () => methodNotAllowed(methods.join(", ")) : methodNotImplemented;
      return { endpoint: refusal(method, refuse), isForeign: false };
    },
  };
}

/** The methods that some app of ours could have: 405 or 404 for them, 501 for all others. */
const knownMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

function isDecodable(path: string): boolean {
  if (!path.includes("%")) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
