import type { App, Model } from "../app/index.ts";
import { accessWords, accessWordsOf } from "../app/index.ts";

export interface Route {
  /** "GET"; of a route to the outside all that it takes, "GET,HEAD"; "*" where those are the usual ones. */
  readonly verb: string;
  readonly path: string;
  /** "catalog.getProduct"; for what is no method where it leads: "upstream legacy", "split checkout", "a mount". */
  readonly method: string;
  /** "public", "authenticated", or what is asked for: "catalog:write", "order by rule". */
  readonly access: string;
}

/** Every route of the app, by path and verb: its methods, its routes to the outside, its mounts. */
export function routesOf(model: Model, { gateway }: App): readonly Route[] {
  const methods = model.services.flatMap(({ name, methods }) =>
    methods.flatMap((method): Route[] => {
      if (!method.http) return [];
      const access = accessWords(method);
      return [{ verb: method.http.verb, path: method.http.path, method: `${name}.${method.name}`, access }];
    }),
  );
  const outside = (gateway.routes ?? []).map(
    ({ host = "", path, methods, upstream, split, redirect, access = "authenticated" }): Route => ({
      verb: methods?.join(",") ?? "*",
      path: `${host}${path}`,
      method: redirect ? `redirect ${redirect.to}` : split === undefined ? `upstream ${upstream}` : `split ${split}`,
      access: accessWordsOf(access),
    }),
  );
  const mounts = (gateway.mounts ?? []).map(
    ({ path, access = "authenticated" }): Route => ({
      verb: "*",
      path,
      method: "a mount",
      access: accessWordsOf(access),
    }),
  );
  return [...methods, ...outside, ...mounts].sort((a, b) => compare(a.path, b.path) || compare(a.verb, b.verb));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
