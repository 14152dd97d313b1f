import shop from "../../examples/shop/app.ts";
import type { App } from "../../src/app/index.ts";

/** The shop with `cache:` taken out of its contracts, and nothing else: every read runs its handler. */
export default { ...shop, services: shop.services.map(withoutCaching) } satisfies App;

function withoutCaching(service: App["services"][number]): App["services"][number] {
  if (service.kind !== "service") return service;
  const methods = Object.entries(service.contract.methods).map(([name, method]) => {
    if (method.kind !== "unary") return [name, method] as const;
    const { cache: _cache, ...options } = method.options;
    return [name, { ...method, options }] as const;
  });
  return { ...service, contract: { ...service.contract, methods: Object.fromEntries(methods) } };
}
