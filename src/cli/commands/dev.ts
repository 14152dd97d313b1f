import { appFlag, defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Runs the app, and again at each change of its files",
  details:
    "What does not start says why, and the next change tries again. Node's own flags for the app go into NODE_OPTIONS, such as NODE_OPTIONS=--inspect.",
  args: [],
  flags: {
    app: appFlag,
    port: { kind: "number", value: "PORT", min: 0, max: 65_535, describe: "the gateway's port; default PORT, or 8080" },
  },
  examples: ["plinth dev", "plinth dev --port 3000"],
  async run({ flags, terminal }) {
    const { findAppFile } = await import("../app-file.ts");
    const { startDev } = await import("../dev.ts");
    const { untilSignal } = await import("../signal.ts");
    const { systemClock } = await import("../../base/index.ts");
    const file = findAppFile(terminal.cwd, flags.app);
    const dev = startDev({ file, port: flags.port, clock: systemClock, terminal });
    await untilSignal(systemClock);
    await dev.stop();
    return 0;
  },
});
