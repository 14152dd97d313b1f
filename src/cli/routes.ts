import type { Model } from "../app/index.ts";
import { accessWords } from "../app/index.ts";

export interface Route {
  readonly verb: string;
  readonly path: string;
  /** "catalog.getProduct". */
  readonly method: string;
  /** "public", "authenticated", or what is asked for: "catalog:write", "order by rule". */
  readonly access: string;
}

/** Every route of the app, by path and verb. */
export function routesOf(model: Model): readonly Route[] {
  const routes = model.services.flatMap(({ name, methods }) =>
    methods.flatMap((method): Route[] => {
      if (!method.http) return [];
      const access = accessWords(method);
      return [{ verb: method.http.verb, path: method.http.path, method: `${name}.${method.name}`, access }];
    }),
  );
  return routes.sort((a, b) => compare(a.path, b.path) || compare(a.verb, b.verb));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
