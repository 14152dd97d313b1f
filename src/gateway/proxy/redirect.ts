import type { Exchange } from "../exchange.ts";
import { extendHead } from "../extras.ts";
import type { Step } from "../step.ts";
import { canonicalPath } from "./path.ts";
import type { Redirect, ResolvedRoute } from "./route.ts";

/**
 * Sends clients elsewhere. Where to is declared: of what a client sent only the path below the route's fixed part and the
 * query are taken over, and those cannot lead to another host.
 */
export function compileRedirect(
  { route, fixed }: ResolvedRoute,
  { to, status = 308 }: Redirect,
  admit: Step,
  vary: string | undefined,
): (exchange: Exchange) => void {
  const keepsRest = to.endsWith("*");
  const base = keepsRest ? to.slice(0, -1).replace(/\/$/, "") : to;
  const proceed = (exchange: Exchange): void => {
    const rest = keepsRest ? canonicalPath(exchange.path, route.looseSegments ?? false).slice(fixed.length) : "";
    // A path that began with two slashes would name a host.
    const target = `${base}${keepsRest && rest === "" ? "/" : rest}`.replace(/^\/{2,}/, "/");
    const location = exchange.query === "" ? target : `${target}?${exchange.query}`;
    const head = ["location", location, "content-length", "0", "cache-control", "no-store"];
    if (vary !== undefined) head.push("vary", vary);
    if (exchange.edge.hsts !== undefined) head.push("strict-transport-security", exchange.edge.hsts);
    extendHead(exchange, head);
    exchange.answer(status, head, undefined, 0);
  };
  return (exchange) => admit(exchange, proceed);
}
