import { contract, method, t } from "plinth";

export const staff = contract("staff", {
  methods: {
    signIn: method({
      http: "POST /staff/sessions",
      summary: "A token for whoever has the shop's key",
      request: t.Object({ name: t.String({ minLength: 1, maxLength: 50 }), key: t.String({ maxLength: 100 }) }),
      response: t.Object({ token: t.String(), expiresAt: t.String() }),
      status: 201,
      errors: { KEY_WRONG: "unauthenticated" },
      access: "public",
    }),
  },
});
