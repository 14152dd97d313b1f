/** Resolves `plinth` and its doors to the source of a clone. Runs where module hooks run; see `source.js`. */

/** @type {import("node:module").ResolveHook} */
export function resolve(specifier, context, next) {
  if (specifier !== "plinth" && !specifier.startsWith("plinth/")) return next(specifier, context);
  return next(specifier, { ...context, conditions: [...context.conditions, "plinth:source"] });
}
