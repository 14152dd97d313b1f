import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Checks a file for PLINTH_GATEWAY_FILE as the running gateway would",
  details:
    "The file may move targets, splits, mirrors, plans and maintenance of the gateway while it runs. Nothing is started or sent; each problem has its path, and with one the exit code is 1.",
  args: [
    { name: "TOPIC", describe: "check" },
    { name: "FILE", describe: "the JSON file" },
  ],
  flags: { app: appFlag, json: jsonFlag },
  examples: ["plinth gateway check gateway.json"],
  async run({ args, flags, terminal }) {
    const { readFile } = await import("node:fs/promises");
    const { loadAppOf } = await import("../app-model.ts");
    const { checkGatewayFile } = await import("../../app/index.ts");
    const { StartError } = await import("../../base/index.ts");
    const [topic = "", file = ""] = args;
    if (topic !== "check") {
      throw new StartError("GATEWAY_TOPIC_UNKNOWN", `gateway ${topic}: there is no such topic; there is check.`);
    }
    const app = await loadAppOf(terminal, flags.app);
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (cause) {
      throw new StartError("GATEWAY_FILE_UNREADABLE", `${file}: it cannot be read: ${(cause as Error).message}.`, {
        cause,
      });
    }
    const problems = checkGatewayFile(app, text);
    if (flags.json) terminal.out.write(`${JSON.stringify({ file, problems }, null, 2)}\n`);
    else if (problems.length === 0) terminal.out.write(`${file}: the gateway would take it.\n`);
    else terminal.out.write(problems.map((problem) => `${file}: ${problem.replace(/\.?$/, ".")}\n`).join(""));
    return problems.length === 0 ? 0 : 1;
  },
});
