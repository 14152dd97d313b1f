import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Adds and lists people who can sign in to the app's identity provider",
  details:
    "For an app with provider() in gateway.identity, in the database of DATABASE_URL. A password is made and shown once, or read from standard input with --stdin. password and disable end what the user is signed in to.",
  args: [
    { name: "TOPIC", describe: "add, list, password, disable or enable" },
    { name: "NAME", describe: "what the user types to sign in", optional: true },
  ],
  flags: {
    app: appFlag,
    display: { kind: "text", value: "TEXT", describe: "add: what others read; default: NAME" },
    email: { kind: "text", value: "ADDRESS", describe: "add: the user's e-mail address" },
    role: { kind: "text", value: "ROLES", describe: "add: roles, told in each access token" },
    scope: { kind: "text", value: "SCOPES", describe: "add: what tokens may allow, besides the scopes for everyone" },
    stdin: { kind: "switch", describe: "add, password: the password stands on standard input" },
    json: jsonFlag,
  },
  examples: [
    'plinth users add ada --display "Ada Lovelace" --role admin --scope "catalog:write"',
    "plinth users list",
    "plinth users password ada --stdin < password.txt",
  ],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { withProvider } = await import("../provider-tables.ts");
    const { userActions } = await import("../user-actions.ts");
    const { StartError } = await import("../../base/index.ts");
    const [topic = "", name] = args;
    const action = userActions[topic];
    if (!action) {
      const known = Object.keys(userActions).join(", ");
      throw new StartError("USER_TOPIC_UNKNOWN", `users ${topic}: there is no such topic; there are ${known}.`);
    }
    const app = await loadAppOf(terminal, flags.app);
    await withProvider(app, terminal, (tables) => action(tables, name, flags, terminal));
    return 0;
  },
});
