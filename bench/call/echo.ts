import { contract, method, t } from "plinth";

/** What is called: about 300 bytes each way. */
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

export const message = {
  id: "0b7c5d0e-9f61-4f5c-8a3e-6d1f2b3c4d5e",
  sentAt: "2026-11-21T08:30:00.000Z",
  sender: { name: "Ada Lovelace", email: "ada@example.com" },
  lines: [
    { sku: "earl-grey-250g", quantity: 2, price: 1450 },
    { sku: "cup-white", quantity: 4, price: 1200 },
  ],
  urgent: true,
  note: "Please leave it with the neighbour.",
};

export const driver = contract("driver", {
  methods: {
    drive: method({
      request: t.Object({ seconds: t.Number(), inFlight: t.Integer() }),
      response: t.Object({ calls: t.Integer(), seconds: t.Number(), p50Ms: t.Number(), p99Ms: t.Number() }),
      deadline: "60s",
    }),
  },
});
