import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Looks after dead letters: events that a subscription gave up on",
  details:
    "list shows them, show one with its payload, replay has the service handle them again, discard gives them up for good. The embedded database is open in one process: stop the app first; a replay then happens when it starts again.",
  args: [
    { name: "dead", describe: "what is looked after: dead letters" },
    { name: "ACTION", describe: "list, show, replay or discard" },
    { name: "ID", describe: "of a dead letter, as list shows it", optional: true, many: true },
  ],
  flags: {
    app: appFlag,
    service: { kind: "text", value: "SERVICE", describe: "only those of this service" },
    all: { kind: "switch", describe: "replay or discard all that list shows" },
    yes: { kind: "switch", describe: "do not ask before discarding" },
    json: jsonFlag,
  },
  examples: [
    "plinth events dead list --service email",
    "plinth events dead replay 0190c7b2-7c5d-7000-8000-2f9b1c0e1a11",
    "plinth events dead discard --all --service email --yes",
  ],
  async run({ args, flags, terminal }) {
    const { runDeadLetters } = await import("../dead-letter-actions.ts");
    return runDeadLetters(args, flags, terminal);
  },
});
