/** What a purchase needs, right in every part: tests change what they are about. */
export const card = { number: "4242 4242 4242 4242", expiryMonth: 12, expiryYear: 2099, cvc: "123" };

export const shipTo = {
  name: "Ada <Lovelace>",
  street: "12 St James's Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  country: "GB",
};

/** Stands in for `accounts` where a test calls as the app itself: spares the password. */
export const accountsDouble = {
  async getMine() {
    return { id: "ada", email: "ada@example.com", name: "Ada", createdAt: "2026-01-01T00:00:00.000Z" };
  },
};
