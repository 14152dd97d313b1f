import { app } from "plinth";
import staff from "./staff/service.ts";
import stock from "./stock/service.ts";

/** What has been moved to Plinth so far. */
export default app({ name: "bookshop", services: [stock, staff] });
