import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Looks over this machine and the app: what is set, what answers, what is missing",
  details: "Changes nothing. Each finding is ok, warn or fail, with its remedy; the exit code is 1 when one is fail.",
  args: [],
  flags: { app: appFlag, json: jsonFlag },
  examples: ["plinth doctor", "NODE_ENV=production plinth doctor --json"],
  async run({ flags, terminal }) {
    const { examine } = await import("../doctor.ts");
    const { reportText } = await import("../doctor-text.ts");
    const report = await examine(flags.app, terminal);
    terminal.out.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report, terminal.out));
    return report.findings.some(({ level }) => level === "fail") ? 1 : 0;
  },
});
