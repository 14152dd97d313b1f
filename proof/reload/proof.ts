import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Fleet } from "../fleet.ts";
import { startFleet } from "../fleet.ts";
import type { Proof, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import type { Deployment } from "./deployments.ts";
import { startDeployment } from "./deployments.ts";
import type { ConfigFile } from "./file.ts";
import { createConfigFile } from "./file.ts";
import type { Traffic } from "./traffic.ts";
import { startTraffic } from "./traffic.ts";

const appFile = fileURLToPath(new URL("./app.ts", import.meta.url));
const clients = 32;
/** The file is looked at each second. */
const takenMsMax = 10_000;
const sampleMs = 2000;

/** Broken in every way that a file can be, and the words that must be in the refusal. */
const broken: readonly (readonly [content: unknown, words: string])[] = [
  ['{ "splits": ', "this is no JSON"],
  [{ splits: { checkout: { weights: { stable: 1, canry: 1 } } } }, "splits.checkout.weights.canry"],
  [{ splits: { checkout: { weights: { stable: -1 } } } }, "splits.checkout.weights.stable"],
  [{ upstreams: { stable: { targets: ["file:///etc/passwd"] } } }, "upstreams.stable.targets[0].url"],
  [{ access: { checkout: "public" } }, "access: there is no such field"],
];

export const reload: Proof = {
  title: "The gateway's configuration changes without a failed request",
  how:
    `A gateway before two deployments of an outside system; ${clients} clients ask one after the other, a third of them with ` +
    "bodies of up to 49 kB. Meanwhile its file (`PLINTH_GATEWAY_FILE`) moves the split between the two, over and over, " +
    "written over, renamed and swapped by symbolic link in turn, and swaps the targets; in between it is broken in " +
    `${broken.length} ways. Counted are answers that are not 200, what went where after each change, and what the log says.`,
  async run({ smoke, say }): Promise<Shown> {
    const [stable, canary] = [await startDeployment("stable"), await startDeployment("canary")];
    const file = await createConfigFile(weights(100));
    let fleet: Fleet | undefined;
    try {
      fleet = await startFleet({
        appFile,
        groups: { edge: 1 },
        edge: "edge",
        environment: {
          PLINTH_UPSTREAMS: `stable=${stable.url};canary=${canary.url}`,
          PLINTH_GATEWAY_FILE: file.path,
          PLINTH_LOG: "info",
          PLINTH_ACCESS_LOG: "0",
        },
      });
      return await change({ fleet, file, stable, canary, rounds: smoke ? 1 : 10, say });
    } finally {
      await fleet?.dispose();
      await file.dispose();
      await Promise.all([stable.stop(), canary.stop()]);
    }
  },
};

interface Stage {
  readonly fleet: Fleet;
  readonly file: ConfigFile;
  readonly stable: Deployment;
  readonly canary: Deployment;
  readonly rounds: number;
  say(text: string): void;
}

const shares = [90, 50, 0, 100];

async function change(stage: Stage): Promise<Shown> {
  const { fleet, stable, canary, rounds, say } = stage;
  const traffic = startTraffic(fleet.urls[0] as string, clients);
  const errors: number[] = [];
  let changes = 0;
  let refusedRight = 0;
  let heldDuringBroken = 0;
  for (let round = 0; round < rounds; round++) {
    for (const share of shares) {
      const way = await put(stage, weights(share));
      const measured = await shareOfStable(traffic);
      errors.push(Math.abs(measured - share));
      changes++;
      say(`stable ${share} % (${way}): ${measured.toFixed(1)} % of the answers`);
    }
    // The same names, the targets exchanged.
    await put(stage, { upstreams: { stable: { targets: [canary.url] }, canary: { targets: [stable.url] } } });
    errors.push(await shareOfStable(traffic));
    changes++;
    await put(stage, weights(100));
    for (const [content, words] of broken) {
      await put(stage, content);
      heldDuringBroken += (await shareOfStable(traffic)) === 100 ? 1 : 0;
      refusedRight += lastRefusal(fleet).includes(words) ? 1 : 0;
    }
  }
  await put(stage, weights(100));
  await traffic.stop();
  const { requests, failed, failures } = traffic.seen;
  for (const failure of failures) say(`failed: ${failure}`);
  const hash = await metric(fleet, "plinth_gateway_config_last_reload_successful");
  const worst = Math.max(...errors);
  return {
    claims: [
      none(
        `requests that failed, of ${requests.toLocaleString("en")}, while the configuration changed ${changes} times`,
        failed,
      ),
      {
        claim: "after each change requests go where the file says, within 5 %",
        seen: `${worst.toFixed(1)} % off at worst`,
        holds: worst <= 5,
      },
      {
        claim: "a broken file is refused with its place, in the log",
        seen: `${refusedRight} of ${rounds * broken.length}`,
        holds: refusedRight === rounds * broken.length,
      },
      {
        claim: "while it is broken, what served before goes on",
        seen: `${heldDuringBroken} of ${rounds * broken.length}`,
        holds: heldDuringBroken === rounds * broken.length,
      },
      { claim: "the metric says that the last file was taken", seen: String(hash), holds: hash === 1 },
    ],
    facts: { clients, requests, changes, "broken files": rounds * broken.length },
  };
}

function weights(stable: number) {
  return { revision: `stable ${stable} %`, splits: { checkout: { weights: { stable, canary: 100 - stable } } } };
}

/** Puts a content in place and waits until the gateway has said what it thinks of it. */
async function put({ file, fleet }: Stage, content: unknown): Promise<string> {
  const before = verdicts(fleet).length;
  const way = await file.put(content);
  const endAt = performance.now() + takenMsMax;
  while (verdicts(fleet).length === before) {
    if (performance.now() > endAt) throw new Error(`the gateway said nothing of its file within ${takenMsMax} ms`);
    await sleep(50);
  }
  return way;
}

function verdicts(fleet: Fleet): readonly string[] {
  const lines = fleet.members.flatMap((member) => member.output().split("\n"));
  return lines.filter((line) => line.includes("the gateway's file"));
}

/** Of the answers that come from now on; in per cent. */
async function shareOfStable(traffic: Traffic): Promise<number> {
  // What was under way is answered.
  await sleep(100);
  traffic.mark();
  await sleep(sampleMs);
  const { by } = traffic.seen;
  const [stable, canary] = [by.get("stable") ?? 0, by.get("canary") ?? 0];
  return (100 * stable) / (stable + canary);
}

function lastRefusal(fleet: Fleet): string {
  return verdicts(fleet).at(-1) ?? "";
}

async function metric(fleet: Fleet, name: string): Promise<number> {
  const port = fleet.members[0]?.ports.management;
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}
