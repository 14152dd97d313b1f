import { app } from "plinth";
import accounts from "./accounts/service.ts";
import cart from "./cart/service.ts";
import catalog from "./catalog/service.ts";
import checkout from "./checkout/service.ts";
import currency from "./currency/service.ts";
import email from "./email/service.ts";
import payment from "./payment/service.ts";

export default app({
  name: "shop",
  version: "0.1.0",
  services: [catalog, currency, accounts, cart, payment, checkout, email],
  placement: {
    edge: ["gateway", "catalog", "currency", "accounts"],
    orders: ["cart", "checkout", "payment"],
    workers: ["email"],
  },
});
