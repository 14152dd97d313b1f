import { contract, type Infer, method, t } from "plinth";

export const Account = t.Object({
  id: t.String(),
  email: t.String(),
  name: t.String(),
  createdAt: t.String({ format: "date-time" }),
});
export type Account = Infer<typeof Account>;

const Email = t.String({ format: "email", maxLength: 254 });
const Password = t.String({ minLength: 10, maxLength: 200 });

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
      request: t.Object({ email: Email, password: Password, name: t.String({ minLength: 1, maxLength: 100 }) }),
      response: Session,
      status: 201,
      errors: { EMAIL_TAKEN: "already_exists" },
      access: "public",
    }),
    signIn: method({
      http: "POST /sessions",
      summary: "Signs in",
      request: t.Object({ email: t.String({ maxLength: 254 }), password: t.String({ maxLength: 200 }) }),
      response: Session,
      status: 201,
      errors: { CREDENTIALS_WRONG: "unauthenticated" },
      access: "public",
    }),
    getMine: method({
      http: "GET /account",
      summary: "The account that is signed in",
      response: Account,
      errors: { ACCOUNT_UNKNOWN: "not_found" },
    }),
    getAccount: method({
      summary: "Any account, for other services",
      request: t.Object({ id: t.String() }),
      response: Account,
      errors: { ACCOUNT_UNKNOWN: "not_found" },
      idempotent: true,
    }),
  },
});
