import { fileURLToPath } from "node:url";
import type { RedisServer } from "../../src/engines/redis/redis-server.fixture.ts";
import { startRedis } from "../../src/engines/redis/redis-server.fixture.ts";
import type { Fleet } from "../fleet.ts";
import { startFleet } from "../fleet.ts";
import type { Claim, Proof, Shown } from "../proof.ts";
import { countAlone, showAccuracy } from "./accuracy.ts";
import type { OutageTimes, WhenDown } from "./outage.ts";
import { showOutage } from "./outage.ts";
import { processes, sliding, whenDownVariable } from "./quotas.ts";

const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));
const ways: readonly WhenDown[] = ["local", "allow", "refuse"];

/** Limits that several gateways count together, and what holds when they cannot. */
export const limits: Proof = {
  title: "Limits hold over several gateways, also when their store fails",
  how:
    `${processes} processes of an app with a gateway, and one Redis. First more is asked of all of them than is allowed, by ` +
    "several clients at once, under a sliding window, two windows, a bucket and a limit of concurrency; what was allowed is " +
    "counted by who asked. Then, for each of the three things that an app may declare, Redis hangs (CLIENT PAUSE), is killed " +
    "with SIGKILL and started again, empty, under the same kind of load. The control is the same app without a shared store.",
  async run({ smoke, say }): Promise<Shown> {
    const windows = smoke ? 3 : 10;
    const times: OutageTimes = smoke
      ? { beforeS: 1.5, pausedS: 2.5, downS: 3, backS: 7 }
      : { beforeS: 4, pausedS: 4, downS: 10, backS: 12 };
    const claims: Claim[] = [];
    const facts: Record<string, number | string> = { windows, "seconds in a window": sliding.windowSeconds };
    const note = (shown: { readonly claims: readonly Claim[]; readonly facts: Record<string, number | string> }) => {
      claims.push(...shown.claims);
      Object.assign(facts, shown.facts);
    };
    await withFleet({ LIMITS_URL: undefined }, async ({ urls }) => {
      say("each process alone");
      claims.push(await countAlone(urls, windows));
    });
    const redis = await startRedis();
    try {
      await withFleet({ LIMITS_URL: redis.url.href }, async ({ urls }) => {
        say("all together");
        note(await showAccuracy(urls, windows));
      });
      for (const whenDown of ways) note(await outageOf(whenDown, redis, times, say));
    } finally {
      await redis.kill();
    }
    return { claims: [...claims.slice(1), claims[0] as Claim], facts };
  },
};

function outageOf(whenDown: WhenDown, redis: RedisServer, times: OutageTimes, say: (text: string) => void) {
  return withFleet({ LIMITS_URL: redis.url.href, [whenDownVariable]: whenDown }, ({ urls }) => {
    say(`Redis fails: ${whenDown}`);
    return showOutage(whenDown, { urls, redis, times });
  });
}

async function withFleet<T>(
  environment: Readonly<Record<string, string | undefined>>,
  work: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const given = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const fleet = await startFleet({
    appFile,
    groups: { edge: processes },
    edge: "edge",
    environment: { ...Object.fromEntries(given), PLINTH_PROCESSES: `edge=${processes}`, PLINTH_LOG: "warn" },
  });
  try {
    return await work(fleet);
  } finally {
    await fleet.dispose();
  }
}
