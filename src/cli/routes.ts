import type { Model } from "../app/index.ts";

export interface Route {
  readonly verb: string;
  readonly path: string;
  /** "catalog.getProduct". */
  readonly method: string;
  /** "public", "authenticated", or the scopes that are asked for: "catalog:write". */
  readonly access: string;
}

/** Every route of the app, by path and verb. */
export function routesOf(model: Model): readonly Route[] {
  const routes = model.services.flatMap(({ name, methods }) =>
    methods.flatMap((method): Route[] => {
      if (!method.http) return [];
      const access = method.access === "scoped" ? method.scopes.join(" ") : method.access;
      return [{ verb: method.http.verb, path: method.http.path, method: `${name}.${method.name}`, access }];
    }),
  );
  return routes.sort((a, b) => compare(a.path, b.path) || compare(a.verb, b.verb));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
