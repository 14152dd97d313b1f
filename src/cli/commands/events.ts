import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Looks after events: dead letters, subscriptions, replays, and who did what to them",
  details:
    "dead list shows the events that a subscription gave up on, dead show one with its payload; dead replay has the service handle them again, dead edit gives one another payload, dead discard gives them up for good. subscriptions shows what waits, and marks those that no service has any more, and events that one listens to no more; subscriptions retire forgets one of these. replay delivers to a subscription again what was published in a time: what it handled is let go, unless --again is given. audit shows what was done, by whom and why. The embedded database is open in one process: stop the app first; what was asked for happens when it starts again.",
  args: [
    { name: "TOPIC", describe: "dead, subscriptions, replay or audit" },
    {
      name: "ACTION",
      describe: "dead: list, show, replay, edit, discard; subscriptions: list, retire",
      optional: true,
    },
    { name: "ID", describe: "of a dead letter, or the name of a subscription", optional: true, many: true },
  ],
  flags: {
    app: appFlag,
    service: { kind: "text", value: "SERVICE", describe: "only those of this service" },
    all: { kind: "switch", describe: "replay or discard all that list shows" },
    payload: { kind: "text", value: "JSON", describe: "dead edit: the new payload; - reads it from standard input" },
    subscription: { kind: "text", value: "NAME", describe: "replay: which subscription, such as email.sendMail" },
    from: { kind: "text", value: "TIME", describe: "replay: what was published since, such as 2026-01-31T08:00:00Z" },
    to: { kind: "text", value: "TIME", describe: "replay: and before that; default: now" },
    type: {
      kind: "text",
      value: "EVENT",
      describe: "replay, subscriptions retire: only this event; several with commas between",
    },
    again: { kind: "switch", describe: "replay: run those as well that were handled" },
    plan: { kind: "switch", describe: "replay: say what would be delivered, and stop" },
    as: { kind: "text", value: "WHO", describe: "whom the audit names; default: the user of this machine" },
    reason: { kind: "text", value: "TEXT", describe: "why, for the audit" },
    yes: { kind: "switch", describe: "do not ask before what cannot be taken back" },
    json: jsonFlag,
  },
  examples: [
    "plinth events dead list --service email",
    "plinth events dead replay 0190c7b2-7c5d-7000-8000-2f9b1c0e1a11",
    "plinth events dead edit 0190c7b2-7c5d-7000-8000-2f9b1c0e1a11 --payload - --reason 'wrong currency' < fixed.json",
    "plinth events dead discard --all --service email --yes",
    "plinth events subscriptions retire email.sendFax",
    "plinth events subscriptions retire email.sendMail --type checkout.OrderFaxed",
    "plinth events replay --subscription email.sendMail --from 2026-01-31T08:00:00Z --plan",
  ],
  async run({ args, flags, terminal }) {
    const { runEvents } = await import("../event-topics.ts");
    return runEvents(args, flags, terminal);
  },
});
