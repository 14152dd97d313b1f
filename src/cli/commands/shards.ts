import { appFlag, defineCommand, jsonFlag } from "../command.ts";

export default defineCommand({
  describe: "Shows where the data of sharded services lives, and moves it",
  details:
    'The database of DATABASE_URL is the shard called main; others have their addresses in DATABASE_SHARDS="b=postgres://… c=postgres://…". status compares directory, fences and migrations; add prepares a shard that DATABASE_SHARDS names, and brings the tables of the service up to date on all of them; move and rebalance work while the app runs, and rebalance --plan only tells what would move. A move that was cut off is finished by resume, which also drops archives older than 7 days; abort N gives one up that has not switched.',
  args: [
    { name: "TOPIC", describe: "status, add, move, rebalance, resume or abort" },
    { name: "NAME", describe: "add: the shard; abort: the number of the move", optional: true },
  ],
  flags: {
    app: appFlag,
    service: { kind: "text", value: "SERVICE", describe: "only this service" },
    buckets: { kind: "text", value: "LIST", describe: "move: which buckets, such as 0-511,700" },
    to: { kind: "text", value: "NAME", describe: "move: to which shard" },
    rate: { kind: "number", value: "ROWS", min: 1, max: 1_000_000, describe: "rows copied a second, at most" },
    plan: { kind: "switch", describe: "rebalance: say what would move, and stop" },
    json: jsonFlag,
  },
  examples: [
    "plinth shards status",
    "plinth shards add b && plinth shards rebalance --plan",
    "plinth shards move --service accounts --buckets 0-511 --to b",
  ],
  async run({ args, flags, terminal }) {
    const { loadAppOf } = await import("../app-model.ts");
    const { shardActions } = await import("../shard-actions.ts");
    const { withShards } = await import("../shard-stores.ts");
    const { StartError } = await import("../../base/index.ts");
    const [topic = "", name] = args;
    const action = shardActions[topic];
    if (!action) {
      const known = Object.keys(shardActions).join(", ");
      throw new StartError("SHARD_TOPIC_UNKNOWN", `shards ${topic}: there is no such topic; there are ${known}.`);
    }
    const app = await loadAppOf(terminal, flags.app);
    const isWell = await withShards(app, terminal, flags.service, async (services) => {
      // Bucket 7 of one service is not bucket 7 of another, and neither is move 7.
      if (services.length > 1 && (topic === "move" || topic === "abort")) {
        const names = services.map(({ service }) => service).join(", ");
        throw new StartError(
          "SHARD_SERVICE_UNCLEAR",
          `shards ${topic}: say of which service: --service, one of ${names}.`,
        );
      }
      const outcomes: boolean[] = [];
      for (const service of services) outcomes.push(await action(service, name, flags, terminal));
      return outcomes.every((outcome) => outcome);
    });
    return isWell ? 0 : 1;
  },
});
