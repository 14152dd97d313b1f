import { systemClock } from "../../base/index.ts";
import { createCache, createNearTier } from "../../cache/index.ts";
import redis from "./index.ts";

/**
 * One process of a stampede: ready when it says so, then on "go" so many clients want the same key at once. Its load takes
 * `loadMs`. Tells when a load begins, and in the end how many answers were right.
 */
const [url, clientCount, loadMs] = process.argv.slice(2) as [string, string, string];
const driver = redis.ports.cache(new URL(url));
const near = createNearTier({ driver });
await driver.open();
const cache = createCache({ driver, namespace: "stampede", near });

process.on("message", async () => {
  const load = async () => {
    process.send?.("loading");
    await systemClock.sleep(Number(loadMs));
    return "loaded";
  };
  const answers = await Promise.all(Array.from({ length: Number(clientCount) }, () => cache.getOrLoad("cold", load)));
  process.send?.(answers.filter((answer) => answer === "loaded").length);
});
process.send?.("ready");
