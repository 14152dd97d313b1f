import { app, contract, method, raw, service, t } from "plinth";

/** What an attacker tries to reach by hiding a request in another. */
let hiddenCount = 0;

const target = contract("target", {
  methods: {
    hello: method({ http: "GET /hello", access: "public", response: t.Object({ text: t.String() }) }),
    echo: method({
      http: "POST /echo",
      access: "public",
      request: t.Object({ text: t.String() }),
      response: t.Object({ text: t.String() }),
    }),
    large: raw({ http: "GET /large", access: "public" }),
    hidden: method({ http: "GET /hidden", access: "public" }),
    hiddenCount: method({ http: "GET /hidden-count", access: "public", response: t.Object({ count: t.Integer() }) }),
  },
});

const large = Buffer.alloc(8 * 1024 * 1024, "x");

const targetService = service(target, {
  methods: {
    hello: async () => ({ text: "hello" }),
    echo: async (request) => request,
    large: async () => ({ body: large }),
    hidden: async () => {
      hiddenCount++;
    },
    hiddenCount: async () => ({ count: hiddenCount }),
  },
});

export default app({ name: "target", services: [targetService], placement: { edge: ["gateway", "target"] } });
