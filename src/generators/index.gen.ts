// Written by `npm run gen` from what stands beside it. Nothing is edited here.

/** Every generator by name, loaded when first asked for. */
export const generators = {
  openapi: () => import("./openapi/index.ts"),
  reference: () => import("./reference/index.ts"),
} as const;
