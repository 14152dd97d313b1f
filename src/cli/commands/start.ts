import { appFlag, defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Runs the app: everything in one process, one group of it, or several processes",
  details:
    "Settings come from the environment and from .env in this folder; plinth doctor lists them. SIGTERM and Ctrl-C stop it without failing a request, a second one at once.",
  args: [],
  flags: {
    app: appFlag,
    group: { kind: "text", value: "GROUP", describe: "only this group of the app's placement" },
    split: { kind: "switch", describe: "every group as a process of its own on this machine, watched over" },
    workers: {
      kind: "number",
      value: "N",
      min: 1,
      max: 256,
      describe: "as many processes behind one port, one for each core",
    },
    port: { kind: "number", value: "PORT", min: 0, max: 65_535, describe: "the gateway's port; default PORT, or 8080" },
  },
  examples: ["plinth start", "plinth start --group orders", "plinth start --workers 4", "plinth start --split"],
  async run({ flags, terminal }) {
    const { start } = await import("../start.ts");
    return start(flags, terminal);
  },
});
