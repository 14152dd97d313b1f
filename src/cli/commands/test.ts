import { defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Runs the app's tests: every *.test.ts here and below, with node:test",
  details:
    "TypeScript runs as it does in plinth start, and NODE_ENV is test. What stands after -- goes to node, such as -- --test-name-pattern=note.",
  args: [{ name: "FILE", describe: "these files, or those in these folders", optional: true, many: true }],
  flags: {},
  examples: ["plinth test", "plinth test notes", "plinth test -- --watch"],
  async run({ args, rest, terminal }) {
    const { runTests } = await import("../test-run.ts");
    return runTests(args, rest, terminal);
  },
});
