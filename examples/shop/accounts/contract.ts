import { contract, type Infer, method, t } from "plinth";
import { Id, line } from "../text.ts";

export const Account = t.Object({
  id: Id,
  email: t.String(),
  name: t.String(),
  createdAt: t.String({ format: "date-time" }),
});
export type Account = Infer<typeof Account>;

const Session = t.Object({
  account: Account,
  token: t.String({ description: "Send it as `Authorization: Bearer …`." }),
  expiresAt: t.String({ format: "date-time" }),
});

export const accounts = contract("accounts", {
  methods: {
    signUp: method({
      http: "POST /accounts",
      summary: "Opens an account and signs in",
      request: t.Object({
        email: t.String({ format: "email", maxLength: 254 }),
        password: t.String({ minLength: 10, maxLength: 200 }),
        name: line({ min: 1, max: 100 }),
      }),
      response: Session,
      status: 201,
      // Pending: somebody is signing up with this address. It is taken in a moment, or free a minute after they broke off.
      errors: { EMAIL_TAKEN: "already_exists", EMAIL_PENDING: "aborted" },
      access: "public",
    }),
    signIn: method({
      http: "POST /sessions",
      summary: "Signs in",
      // No rule for either but a length: what is no address and no password of ours is simply wrong.
      request: t.Object({ email: line({ max: 254 }), password: t.String({ maxLength: 200 }) }),
      response: Session,
      status: 201,
      errors: { CREDENTIALS_WRONG: "unauthenticated" },
      access: "public",
    }),
    getMine: method({
      http: "GET /account",
      summary: "The account that is signed in",
      response: Account,
      // A good token of an account that is no more: to sign in again is the remedy, as for a token that has expired.
      errors: { ACCOUNT_GONE: "unauthenticated", EMAIL_TAKEN: "already_exists" },
    }),
  },
});
