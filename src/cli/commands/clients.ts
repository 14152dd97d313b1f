import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Adds, lists and removes programs that use the app's identity provider",
  details:
    "For an app with provider() in gateway.identity, in the database of DATABASE_URL. Clients that the app declares are listed too, and get their secrets by rotate. A secret is shown once, when it is made; what is kept of it is a hash. rotate-keys changes the key that signs tokens at once, as after a loss; otherwise it changes by itself.",
  args: [
    { name: "TOPIC", describe: "add, list, rotate, remove or rotate-keys" },
    { name: "ID", describe: "which client", optional: true },
  ],
  flags: {
    app: appFlag,
    kind: { kind: "text", value: "KIND", describe: "add: browser, native, server or machine" },
    name: { kind: "text", value: "TEXT", describe: "add: what people read; default: ID" },
    redirect: { kind: "text", value: "ADDRESSES", describe: "add: where people come back to, compared exactly" },
    "sign-out": { kind: "text", value: "ADDRESSES", describe: "add: where people may be sent after signing out" },
    scope: { kind: "text", value: "SCOPES", describe: "add: the most that its tokens can allow" },
    "third-party": { kind: "switch", describe: "add: people are asked before it may act for them" },
    overlap: { kind: "text", value: "DURATION", describe: "rotate: how long older secrets stay good; default 1d" },
    json: jsonFlag,
  },
  examples: [
    "plinth clients add site --kind server --redirect https://www.example.com/callback",
    'plinth clients add nightly --kind machine --scope "catalog:write"',
    "plinth clients rotate nightly --overlap 7d",
  ],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { clientActions } = await import("../client-actions.ts");
    const { withProvider } = await import("../provider-tables.ts");
    const { StartError } = await import("../../base/index.ts");
    const [topic = "", id] = args;
    const action = clientActions[topic];
    if (!action) {
      const known = Object.keys(clientActions).join(", ");
      throw new StartError("CLIENT_TOPIC_UNKNOWN", `clients ${topic}: there is no such topic; there are ${known}.`);
    }
    const app = await loadAppOf(terminal, flags.app);
    await withProvider(app, terminal, (tables) => action(tables, id, flags, terminal));
    return 0;
  },
});
