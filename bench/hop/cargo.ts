/** What passes through every gateway: about 300 bytes of JSON. */
export const cargo = JSON.stringify({
  id: "0b7c5d0e-9f61-4f5c-8a3e-6d1f2b3c4d5e",
  placedAt: "2026-11-21T08:30:00.000Z",
  customer: { name: "Ada Lovelace", email: "ada@example.com" },
  lines: [
    { sku: "earl-grey-loose-250g", quantity: 2, price: 1450 },
    { sku: "cup-white-porcelain", quantity: 4, price: 1200 },
  ],
  express: true,
  note: "Please leave it with the neighbour.",
});

export const cargoPath = "/api/orders/42";
/** What a token needs where tokens are looked at. */
export const scopeNeeded = "orders";
/** In a minute, from one caller: counted, and never reached. */
export const plentifulQuota = 1_000_000_000;

/** The same upstream behind a limit that is soon reached: where a candidate has limits, it shows here that they hold. */
export const scarcePath = "/scarce/orders/42";
export const scarceQuota = 5;
