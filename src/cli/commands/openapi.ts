import { appFlag, defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Prints the OpenAPI 3.1 document of the app's routes",
  args: [],
  flags: {
    app: appFlag,
    out: { kind: "text", value: "FILE", describe: "writes it into this file instead, made with its folders" },
  },
  examples: ["plinth openapi", "plinth openapi --out docs/openapi.json"],
  async run({ flags, terminal }) {
    const { loadModel } = await import("../app-model.ts");
    const { toOpenApi } = await import("../../generators/index.ts");
    const { writeOut } = await import("../write-out.ts");
    const text = `${JSON.stringify(toOpenApi(await loadModel(terminal, flags.app)), null, 2)}\n`;
    await writeOut(terminal, flags.out, text);
    return 0;
  },
});
