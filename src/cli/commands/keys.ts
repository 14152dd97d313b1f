import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Makes, lists, rotates and takes back API keys",
  details:
    "For an app with apiKeys() in gateway.identity, in the database of DATABASE_URL. A key is shown once, when it is made; what is kept of it is a hash. rotate makes a new key for the same caller and lets the old one end after --overlap.",
  args: [
    { name: "TOPIC", describe: "create, list, rotate or revoke" },
    { name: "ID", describe: "rotate, revoke: which key", optional: true },
  ],
  flags: {
    app: appFlag,
    subject: { kind: "text", value: "WHO", describe: "create: who calls with it: the principal's subject" },
    name: { kind: "text", value: "NAME", describe: "create: what it is called in lists" },
    scope: { kind: "text", value: "SCOPES", describe: 'create: what it allows, such as "orders:write orders:read"' },
    role: { kind: "text", value: "ROLES", describe: "create: the roles of its caller" },
    plan: { kind: "text", value: "PLAN", describe: "create: the plan of limits that holds for it" },
    tenant: { kind: "text", value: "TENANT", describe: "create: the tenant of its caller" },
    expires: {
      kind: "text",
      value: "DURATION",
      describe: "create: how long it is good, such as 90d; default: for ever",
    },
    overlap: { kind: "text", value: "DURATION", describe: "rotate: how long the old one stays good; default 24h" },
    json: jsonFlag,
  },
  examples: [
    'plinth keys create --subject acme --scope "orders:read" --plan gold --expires 90d',
    "plinth keys list",
    "plinth keys rotate 0Fq3xYb81TzK --overlap 7d",
  ],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { checkKeyPlan, keyActions, withKeys } = await import("../key-actions.ts");
    const { StartError } = await import("../../base/index.ts");
    const [topic = "", id] = args;
    const action = keyActions[topic];
    if (!action) {
      const known = Object.keys(keyActions).join(", ");
      throw new StartError("KEY_TOPIC_UNKNOWN", `keys ${topic}: there is no such topic; there are ${known}.`);
    }
    const app = await loadAppOf(terminal, flags.app);
    checkKeyPlan(app, flags);
    await withKeys(app, terminal, (keys) => action(keys, id, flags, terminal));
    return 0;
  },
});
