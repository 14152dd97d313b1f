import { contract, method, t } from "plinth";

/** What is called. */
const Message = t.Object({
  id: t.String(),
  sentAt: t.String(),
  sender: t.Object({ name: t.String(), email: t.String() }),
  lines: t.Array(t.Object({ sku: t.String(), quantity: t.Integer(), price: t.Integer() })),
  urgent: t.Boolean(),
  note: t.String(),
});

export const echo = contract("echo", {
  methods: {
    exchange: method({
      http: "POST /exchange",
      request: t.Object({ message: Message }),
      response: t.Object({ message: Message }),
      access: "public",
      idempotent: true,
    }),
  },
});

export const driver = contract("driver", {
  methods: {
    prove: method({ request: t.Object({ bytes: t.Integer() }), response: t.Object({}) }),
    drive: method({
      request: t.Object({ seconds: t.Number(), inFlight: t.Integer(), bytes: t.Integer() }),
      response: t.Object({ calls: t.Integer(), seconds: t.Number(), p50Ms: t.Number(), p99Ms: t.Number() }),
      deadline: "60s",
    }),
  },
});
