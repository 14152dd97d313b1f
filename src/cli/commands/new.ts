import { defineCommand } from "../command.ts";

export default defineCommand({
  describe: "Makes a new app: one service with a database and an event, tests, README",
  details: "Nothing is downloaded. What the folder holds already is left alone: a file that is in the way stops it.",
  args: [{ name: "NAME", describe: "the app's name: small letters, digits and dashes" }],
  flags: { dir: { kind: "text", value: "FOLDER", describe: "where; default: a new folder of that name" } },
  examples: ["plinth new shop", "plinth new shop --dir services/shop"],
  async run({ args, flags, terminal }) {
    const { scaffold } = await import("../scaffold.ts");
    await scaffold(args[0] ?? "", flags.dir, terminal);
    return 0;
  },
});
