import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Prints the app as plain data: services, methods, events, needs, groups",
  args: [],
  flags: { app: appFlag, json: jsonFlag },
  examples: ["plinth model", "plinth model --json > model.json"],
  async run({ flags, terminal }) {
    const { loadModel } = await import("../app-model.ts");
    const { describeModel } = await import("../model-text.ts");
    const model = await loadModel(terminal, flags.app);
    terminal.out.write(flags.json ? `${JSON.stringify(model, null, 2)}\n` : describeModel(model, terminal.out));
    return 0;
  },
});
