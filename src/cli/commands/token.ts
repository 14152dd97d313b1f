import { appFlag, defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Signs a token with the app's own key, to try what needs one",
  details:
    "With the key in PLINTH_TOKEN_KEY, otherwise with the one that development keeps in the data folder. Good for an hour. Whoever has it is SUBJECT to the app.",
  args: [{ name: "SUBJECT", describe: "who the token is for: the principal's subject" }],
  flags: {
    app: appFlag,
    scope: { kind: "text", value: "SCOPES", describe: 'what it allows, such as "orders:write orders:read"' },
  },
  examples: ["plinth token ada", 'curl -H "authorization: Bearer $(plinth token ada)" http://127.0.0.1:8080/cart'],
  async run({ args, flags, terminal }) {
    const { loadModel } = await import("../app-model.ts");
    const { readProcessSettings, tokenSecretOf } = await import("../../app/index.ts");
    const { createTokenIssuer, createTokenKeys } = await import("../../identity/index.ts");
    const { environmentOf } = await import("../environment.ts");
    const { name } = await loadModel(terminal, flags.app);
    const secret = await tokenSecretOf(readProcessSettings(environmentOf(terminal)));
    const issuer = createTokenIssuer({ keys: await createTokenKeys({ secret }), issuer: name, audience: name });
    const scopes = (flags.scope ?? "").split(/[ ,]+/).filter((scope) => scope !== "");
    const { token } = await issuer.issue({ subject: args[0] as string, scopes });
    terminal.out.write(`${token}\n`);
    return 0;
  },
});
