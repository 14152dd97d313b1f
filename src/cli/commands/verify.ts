import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Proves what can be proven: suites on an engine of yours, or who gets into the app",
  details:
    "engine URL runs the conformance suites on a server of yours and judges its settings. access starts the app on embedded engines and asks every method with every kind of token: none, wrong ones, one without scopes, a stranger's, the right one; methods with a rule about an object need a sample of one (--samples). Exit code 1 when something does not hold or is not known. The suites work in schemas and cache names of its own, and removes them. The user of the URL must be allowed to make schemas. Exit code 1 when a case fails. Give a server that nobody else is waiting for: the suites fill queues and run into limits on purpose.",
  args: [
    { name: "WHAT", describe: "engine, or access" },
    {
      name: "URL",
      describe: "postgres://…, redis://…, pglite:DIRECTORY, or memory for the reference drivers",
      optional: true,
    },
  ],
  flags: {
    app: appFlag,
    samples: {
      kind: "text",
      value: "FILE",
      describe: 'access: exports { "orders.getOrder": { request, as: { subject } } }, or a function that makes them',
    },
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
    "plinth verify access --samples access-samples.ts",
  ],
  async run({ args, flags, terminal }) {
    if (args[0] === "access") {
      const { loadAppOf } = await import("../app-model.ts");
      const { runVerifyAccess } = await import("../verify-access.ts");
      return runVerifyAccess(await loadAppOf(terminal, flags.app), flags, terminal);
    }
    const { runVerify } = await import("../verify-engine.ts");
    return runVerify(args, flags, terminal);
  },
});
