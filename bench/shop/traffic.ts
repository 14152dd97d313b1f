import { readFileSync } from "node:fs";
import { announce } from "../child.ts";
import { type LoadReport, Shooter } from "../load/open-loop-shots.ts";
import { createMix, type MixPlan } from "./mix.ts";

/** The mix as a program: `traffic.ts PLAN_FILE`. Asked to "run" at a rate of requests in a second, it answers a report. */
export interface TrafficPlan extends MixPlan {
  readonly warmSeconds: number;
  readonly seconds: number;
}

const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as TrafficPlan;
const mix = await createMix(plan);

announce({}, { run: (rate) => run(rate) });

/** What was counted, and what counting it took. */
export interface TrafficRun {
  readonly report: LoadReport;
  readonly cpuUs: number;
}

async function run(rate: number): Promise<TrafficRun> {
  let begun = process.cpuUsage();
  const onCount = () => {
    begun = process.cpuUsage();
  };
  const shooter = new Shooter({ ...plan, rate: rate / mix.requestsEach, draw: mix.draw, onCount });
  await shooter.connect(32);
  const report = await shooter.run();
  const { user, system } = process.cpuUsage(begun);
  return { report, cpuUs: user + system };
}
