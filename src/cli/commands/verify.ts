import { defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Runs the conformance suites on an engine of yours, and judges its settings",
  details:
    "Works in schemas and cache names of its own, and removes them. The user of the URL must be allowed to make schemas. Exit code 1 when a case fails. Give a server that nobody else is waiting for: the suites fill queues and run into limits on purpose.",
  args: [
    { name: "engine", describe: "what is verified: an engine" },
    { name: "URL", describe: "postgres://…, redis://…, pglite:DIRECTORY, or memory for the reference drivers" },
  ],
  flags: {
    port: { kind: "text", value: "PORT", describe: "only this port: database, broker or cache" },
    only: { kind: "text", value: "TEXT", describe: "only cases with this in their name" },
    timeout: { kind: "number", value: "SECONDS", min: 1, max: 3600, describe: "for each case; default 60" },
    record: {
      kind: "text",
      value: "FILE",
      describe: "puts the outcomes into this JSON file, beside those of other engines",
    },
    json: jsonFlag,
  },
  examples: [
    "plinth verify engine postgres://user:password@host:5432/name",
    "plinth verify engine redis://host:6379 --only fence",
    "plinth verify engine memory --json",
  ],
  async run({ args, flags, terminal }) {
    const { runVerify } = await import("../verify-engine.ts");
    return runVerify(args, flags, terminal);
  },
});
