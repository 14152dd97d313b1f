import { appFlag, defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Signs a token with the app's own key, to try what needs one",
  details:
    "With the key in PLINTH_TOKEN_KEY, otherwise with the one that development keeps in the data folder. Good for an hour. Whoever has it is SUBJECT to the app.",
  args: [{ name: "SUBJECT", describe: "who the token is for: the principal's subject" }],
  flags: {
    app: appFlag,
    scope: { kind: "text", value: "SCOPES", describe: 'what it allows, such as "orders:write orders:read"' },
    role: { kind: "text", value: "ROLES", describe: "what access rules ask for by role" },
  },
  examples: ["plinth token ada", 'curl -H "authorization: Bearer $(plinth token ada)" http://127.0.0.1:8080/cart'],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { StartError } = await import("../../base/index.ts");
    const { readProcessSettings, tokenSecretOf } = await import("../../app/index.ts");
    const { createTokenIssuer, createTokenKeys } = await import("../../identity/index.ts");
    const { environmentOf } = await import("../environment.ts");
    const { name, gateway } = await loadAppOf(terminal, flags.app);
    if (gateway.identity?.ownTokens === false) {
      throw new StartError(
        "OWN_TOKENS_OFF",
        `"${name}" does not take tokens that it signs itself (gateway.identity.ownTokens is false); get one from its issuer.`,
      );
    }
    const secret = await tokenSecretOf(readProcessSettings(environmentOf(terminal)));
    const issuer = createTokenIssuer({ keys: await createTokenKeys({ secret }), issuer: name, audience: name });
    const wordsOf = (text = "") => text.split(/[ ,]+/).filter((word) => word !== "");
    const [scopes, roles] = [wordsOf(flags.scope), wordsOf(flags.role)];
    const { token } = await issuer.issue({ subject: args[0] as string, scopes, ...(roles.length > 0 && { roles }) });
    terminal.out.write(`${token}\n`);
    return 0;
  },
});
