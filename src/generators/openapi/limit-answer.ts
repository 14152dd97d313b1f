import type { Model, ModelMethod } from "../../app/index.ts";
import type { Json } from "../../base/index.ts";

/**
 * The answer to whoever has used up a limit (429): which limits a caller may meet here, and the headers that tell how things
 * stand. Undefined for a method that nothing limits.
 */
export function limitAnswer(
  { limits }: ModelMethod,
  shared: Model["limits"],
): { readonly names: string; readonly headers: { [name: string]: Json } } | undefined {
  if (!limits) return undefined;
  const all = [...shared.limits, ...shared.plans.flatMap((plan) => plan.limits)];
  const met = all.map(({ name }) => name).filter((name) => limits.shared[name] !== 0);
  const names = [...new Set([...met, ...limits.own.map(({ name }) => name)])];
  return names.length === 0 ? undefined : { names: names.join(", "), headers };
}

const headers: { [name: string]: Json } = {
  "Retry-After": { description: "Seconds to wait. Absent: it will never be allowed.", schema: { type: "integer" } },
  "RateLimit-Policy": {
    description:
      'The limits that hold: "name";q=quota;w=seconds (draft-ietf-httpapi-ratelimit-headers). On every answer.',
    schema: { type: "string" },
  },
  RateLimit: {
    description: 'How they stand: "name";r=left;t=seconds until there is more. On every answer.',
    schema: { type: "string" },
  },
};
