// Written by `npm run gen` from the folders beside it. A new engine is a new folder; nothing is edited here.

/** Every engine by name, loaded when first asked for. */
export const engines = {
  pglite: () => import("./pglite/index.ts"),
  postgres: () => import("./postgres/index.ts"),
  redis: () => import("./redis/index.ts"),
} as const;

/** URL scheme → the name of the engine that serves it. */
export const engineOfScheme: Readonly<Record<string, keyof typeof engines>> = {
  pglite: "pglite",
  postgres: "postgres",
  postgresql: "postgres",
  redis: "redis",
  rediss: "redis",
  "redis+sentinel": "redis",
  "rediss+sentinel": "redis",
  "redis+cluster": "redis",
  "rediss+cluster": "redis",
};
