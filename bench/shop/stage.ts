import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { workFolder } from "../build.ts";
import { startPeer } from "../peers.ts";
import { cpuUs, memoryMiB, type Program, startProgram } from "../program.ts";
import { problemOf, type Trial } from "./capacity.ts";
import type { MixPlan } from "./mix.ts";
import type { TrafficPlan, TrafficRun } from "./traffic.ts";

/** One candidate that runs: its processes, and where its services are reached. */
export interface Stage {
  readonly programs: readonly Program<unknown>[];
  readonly origins: MixPlan["origins"];
  /** Of what it asks besides, such as a database server. */
  readonly otherCpuUs?: () => Promise<number>;
  /** Called after a run: why it does not count, if it does not. */
  readonly settle?: () => Promise<string | undefined>;
}

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const tokenKey = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
const SHOP_KEY = publicKey.export({ type: "spki", format: "pem" }) as string;

interface Located {
  readonly url: string;
}

/** Settings that a group of a Plinth app needs, each in a process of its own. */
export async function groupEnvironments(groups: readonly string[]): Promise<Map<string, Record<string, string>>> {
  const ports = await freePorts(groups.length);
  const addresses = groups.map((group, i) => `${group}=127.0.0.1:${ports[i]}`).join(";");
  return new Map(
    groups.map((group, i) => [
      group,
      { PLINTH_RPC_PORT: String(ports[i]), PLINTH_RPC_SECRET: "for a bench alone", PLINTH_ADDRESSES: addresses },
    ]),
  );
}

const three = { PLINTH_TOKEN_KEY: tokenKey, PLINTH_URL: "https://shop.example.com", PLINTH_ACCESS_LOG: "1" };

export async function startPlinthThree(): Promise<Stage> {
  const program = await startProgram<Located>("shop/three", { environment: three });
  return { programs: [program], origins: at(program.facts.url) };
}

export async function startPlinthThreeApart(): Promise<Stage> {
  const groups = await groupEnvironments(["edge", "catalog", "cart", "checkout"]);
  const programs = await Promise.all(
    [...groups].map(([group, environment]) =>
      startProgram<Located>("shop/three", { args: [group], environment: { ...three, ...environment } }),
    ),
  );
  return { programs, origins: at((programs[0] as Program<Located>).facts.url) };
}

export async function startFastifyThree(): Promise<Stage> {
  const environment = { SHOP_KEY };
  const start = (...args: string[]) => startPeer<Located>("shop/fastify", { args, environment });
  const catalog = await start("catalog");
  const cart = await start("cart", catalog.facts.url);
  const checkout = await start("checkout", cart.facts.url);
  const origins = { catalog: catalog.facts.url, cart: cart.facts.url, checkout: checkout.facts.url };
  return { programs: [catalog, cart, checkout], origins };
}

export async function startNestThree(): Promise<Stage> {
  const start = (name: string, environment: Record<string, string>) =>
    startPeer<Located>("shop/nest", { args: [name], environment: { SHOP_KEY, ...environment } });
  const catalog = await start("catalog", {});
  const cart = await start("cart", { SHOP_OTHER: catalog.facts.url });
  const checkout = await start("checkout", { SHOP_OTHER: cart.facts.url });
  const services = { catalog: catalog.facts.url, cart: cart.facts.url, checkout: checkout.facts.url };
  const gateway = await start("gateway", { SHOP_SERVICES: JSON.stringify(services) });
  return { programs: [gateway, catalog, cart, checkout], origins: at(gateway.facts.url) };
}

export function at(url: string): MixPlan["origins"] {
  return { catalog: url, cart: url, checkout: url };
}

/** Sends the mix to a stage, at a rate, and counts what that takes. */
export type Attempt = (rate: number) => Promise<Trial>;

export interface Attempts {
  attempt: Attempt;
  stop(): Promise<void>;
}

export async function startTraffic(stage: Stage, plan: Omit<TrafficPlan, "origins">): Promise<Attempts> {
  const file = `${workFolder}/traffic-${++plans}.json`;
  writeFileSync(file, JSON.stringify({ ...plan, origins: stage.origins }));
  const traffic = await startProgram("shop/traffic", { args: [file] });
  const used = async (): Promise<number> => (await cpuUs(...stage.programs)) + ((await stage.otherCpuUs?.()) ?? 0);
  return {
    async attempt(rate) {
      const running = traffic.ask<TrafficRun>("run", rate);
      await sleep(plan.warmSeconds * 1000);
      const before = await used();
      const { report, cpuUs: own } = await running;
      const spent = (await used()) - before;
      const { sent } = report.all;
      const problem = problemOf(report) ?? (await stage.settle?.());
      return {
        rate: sent / report.seconds,
        report,
        cpuUs: spent / sent,
        allCpuUs: (spent + own) / sent,
        rssMiB: await memoryMiB(...stage.programs),
        problem,
      };
    },
    stop: () => traffic.stop(),
  };
}

let plans = 0;

export async function stopStage({ programs }: Stage): Promise<void> {
  await Promise.all(programs.map((program) => program.stop()));
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
