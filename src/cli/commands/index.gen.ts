// Written by `npm run gen` from what stands beside it. Nothing is edited here.

/** Every command by name, loaded when first asked for. */
export const commands = {
  call: () => import("./call.ts"),
  clients: () => import("./clients.ts"),
  dev: () => import("./dev.ts"),
  doctor: () => import("./doctor.ts"),
  events: () => import("./events.ts"),
  gateway: () => import("./gateway.ts"),
  keys: () => import("./keys.ts"),
  migrate: () => import("./migrate.ts"),
  model: () => import("./model.ts"),
  new: () => import("./new.ts"),
  openapi: () => import("./openapi.ts"),
  routes: () => import("./routes.ts"),
  shards: () => import("./shards.ts"),
  start: () => import("./start.ts"),
  test: () => import("./test.ts"),
  token: () => import("./token.ts"),
  users: () => import("./users.ts"),
  verify: () => import("./verify.ts"),
} as const;
