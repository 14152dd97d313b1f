import cluster from "node:cluster";
import { once } from "node:events";
import { createRuntime } from "plinth";
import { announce } from "../child.ts";
import { withRoutes } from "./definition.ts";

/** So many processes behind one port, by Node's own `cluster`. */
const [count = ""] = process.argv.slice(2);

if (cluster.isPrimary) {
  cluster.setupPrimary({ serialization: "json" });
  const workers = Array.from({ length: Number(count) }, () => cluster.fork());
  const ready = await Promise.all(workers.map((worker) => once(worker, "message")));
  const [facts] = ready[0] as [object];
  process.once("exit", () => {
    for (const worker of workers) worker.kill("SIGKILL");
  });
  announce(facts, {
    async usage() {
      const used = await Promise.all(
        workers.map(async (worker) => {
          const answer = once(worker, "message");
          worker.send("usage");
          const [usage] = (await answer) as [{ cpuUs: number; rssBytes: number }];
          return usage;
        }),
      );
      return {
        cpuUs: used.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
        rssBytes: used.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
      };
    },
  });
} else {
  const { definition, paths } = withRoutes(10);
  const environment = { ...process.env, PLINTH_LOG: "error" };
  const settings = { port: Number(process.env.BENCH_PORT) };
  const runtime = await createRuntime(definition, { environment, management: false, settings });
  const { gateway } = await runtime.start();
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system, rssBytes: process.memoryUsage().rss });
  });
  process.send?.({ url: gateway, paths });
}
