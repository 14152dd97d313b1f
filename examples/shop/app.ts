import { app, provider } from "plinth";
import accounts from "./accounts/service.ts";
import cart from "./cart/service.ts";
import catalog from "./catalog/service.ts";
import checkout from "./checkout/service.ts";
import currency from "./currency/service.ts";
import email from "./email/service.ts";
import inventory from "./inventory/service.ts";
import payment from "./payment/service.ts";
import pricing from "./pricing/service.ts";
import recommendation from "./recommendation/service.ts";
import reviews from "./reviews/service.ts";
import shipping from "./shipping/service.ts";

export default app({
  name: "shop",
  version: "0.1.0",
  services: [
    catalog,
    pricing,
    currency,
    reviews,
    recommendation,
    accounts,
    cart,
    inventory,
    payment,
    checkout,
    shipping,
    email,
  ],
  // People sign in at /auth. PLINTH_ISSUER=https://login.example.com puts another provider in its place.
  gateway: {
    identity: {
      provider: provider({
        scopes: {
          "prices:write": "Change prices",
          "stock:write": "Change what is in stock",
          "shipments:write": "Send parcels",
        },
        clients: [
          { id: "web", kind: "browser", name: "The shop", redirectUris: ["http://127.0.0.1:5173/callback"] },
          { id: "terminal", kind: "native", name: "The shop's terminal", redirectUris: ["http://127.0.0.1/callback"] },
          { id: "backoffice", kind: "machine", scopes: ["prices:write", "stock:write", "shipments:write"] },
        ],
      }),
    },
  },
  placement: {
    edge: ["gateway", "accounts", "currency"],
    catalogue: ["catalog", "pricing", "reviews"],
    orders: ["cart", "checkout", "payment", "inventory", "shipping"],
    workers: ["email", "recommendation"],
  },
});
