import type { Proof, Shown } from "../proof.ts";
import { showAgreement } from "./agreement.ts";
import { showLatency } from "./latency.ts";
import { showOutage } from "./outage.ts";
import { openStage } from "./stage.ts";
import { showStampede } from "./stampede.ts";

/** The cache before the shop's catalogue: what it brings, and that it does not lie. */
export const cache: Proof = {
  title: "The cache makes the catalogue faster and does not lie",
  how:
    "The shop's groups `edge` and `catalogue` on Postgres and Redis. Latency: catalogue reads over HTTP of three such shops " +
    "in turn, as it is, without the near tier, and with `cache:` taken out of its contracts; all on one machine, so a query " +
    "costs no network, and the ratio of each round is taken by itself. Stampede: 1,000 clients at four gateways and three " +
    "catalogue processes, with a Postgres that is 100 ms away; statements are those that `pg_stat_statements` counted. " +
    "Agreement: three processes that read through the cache and write to Postgres with nothing but the invalidation after " +
    "commit, by way of a proxy that holds up stores into Redis. Outage: reads of 20 products at an even rate while Redis is " +
    "flushed, paused and killed.",
  async run({ smoke, say }): Promise<Shown> {
    const stage = await openStage();
    try {
      const parts: Shown[] = [];
      for (const [name, show] of [
        ["latency", showLatency],
        ["stampede", showStampede],
        ["agreement", showAgreement],
        ["outage", showOutage],
      ] as const) {
        say(name);
        parts.push(await show(stage, smoke));
      }
      return {
        claims: parts.flatMap(({ claims }) => claims),
        facts: Object.assign({}, ...parts.map(({ facts }) => facts)),
      };
    } finally {
      await stage.dispose();
    }
  },
};
