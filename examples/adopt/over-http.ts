import { type App, app, external, secret } from "plinth";
import picking from "./picking/service.ts";
import staff from "./staff/service.ts";
import { warehouse } from "./warehouse/contract.ts";

/**
 * A Plinth app that calls an existing HTTP service through a contract. Because of `served` the gateway serves the
 * contract's routes as well, now behind a token: that is how the old service moves behind it.
 */
export function overHttp(warehouseUrl: string): App {
  return app({
    name: "bookshop",
    services: [
      picking,
      staff,
      external(warehouse, warehouseUrl, { headers: { "x-warehouse-key": secret("WAREHOUSE_KEY") }, served: true }),
    ],
  });
}
