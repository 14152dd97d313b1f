import type { Shown } from "../proof.ts";
import type { Browser } from "./browser.ts";
import { createBrowser, pickPath, productIds } from "./browser.ts";
import type { ReadingShop, Stage } from "./stage.ts";

const variants = ["cached", "redis alone", "uncached"] as const;
type Variant = (typeof variants)[number];
type How = "alone" | "crowded";

interface Contender {
  readonly shop: ReadingShop;
  readonly browser: Browser;
  readonly ids: readonly string[];
  /** Of each round: one reader at a time, and several. */
  readonly alone: number[][];
  readonly crowded: number[][];
}

const crowd = 4;

/** The same reads of three shops in turn, round after round, in one run: with the cache, with Redis alone, and without. */
export async function showLatency(stage: Stage, smoke: boolean): Promise<Shown> {
  const contenders = new Map<Variant, Contender>();
  try {
    for (const variant of variants) {
      const name = variant.replace(" ", "_");
      const shop = await stage.startShop({
        name,
        isCached: variant !== "uncached",
        hasNearTier: variant !== "redis alone",
      });
      const browser = createBrowser(shop.url);
      contenders.set(variant, { shop, browser, ids: await productIds(browser), alone: [], crowded: [] });
    }
    const [rounds, count] = smoke ? [3, 150] : [20, 400];
    // The first round warms up, and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const turn = round % variants.length;
      for (const variant of [...variants.slice(turn), ...variants.slice(0, turn)]) {
        const contender = contenders.get(variant) as Contender;
        const alone = await readMany(contender, count, 1);
        const crowded = await readMany(contender, count, crowd);
        if (round === 0) continue;
        contender.alone.push(alone);
        contender.crowded.push(crowded);
      }
    }
    return judge(contenders);
  } finally {
    for (const { shop, browser } of contenders.values()) {
      browser.close();
      await shop.dispose();
    }
  }
}

async function readMany({ browser, ids }: Contender, count: number, clients: number): Promise<number[]> {
  const times: number[] = [];
  const read = async (): Promise<void> => {
    for (let i = 0; i < count / clients; i++) {
      const { status, ms } = await browser.get(pickPath(ids));
      if (status !== 200) throw new Error(`a read of the catalogue was answered with ${status}`);
      times.push(ms);
    }
  };
  await Promise.all(Array.from({ length: clients }, read));
  return times;
}

function judge(contenders: ReadonlyMap<Variant, Contender>): Shown {
  const of = (variant: Variant, how: How): number[][] => contenders.get(variant)?.[how] ?? [];
  /** Of each round by itself: how much less than without the cache, and the least and the most of that. */
  const less = (variant: Variant, how: How, share: number) => {
    const without = of("uncached", how);
    const ratios = of(variant, how).map((times, i) => quantile(times, share) / quantile(without[i] ?? [], share));
    const [most, least] = [Math.min(...ratios), Math.max(...ratios)].map(percentLess);
    const middle = quantile(ratios, 0.5);
    return { middle, text: `${percentLess(middle)} less (rounds: ${least} to ${most})` };
  };
  const shown = (variant: Variant, how: How): string => {
    const times = of(variant, how).flat();
    return `${quantile(times, 0.5).toFixed(2)} / ${quantile(times, 0.99).toFixed(2)}`;
  };
  const median = less("cached", "alone", 0.5);
  return {
    claims: [
      {
        claim: "median latency of catalogue reads, one at a time, with the cache: at least 50 % less than without",
        seen: `${median.text}, ${quantile(of("cached", "alone").flat(), 0.5).toFixed(2)} ms against ${quantile(of("uncached", "alone").flat(), 0.5).toFixed(2)} ms`,
        holds: median.middle <= 0.5,
      },
    ],
    facts: {
      "ms p50 / p99, one at a time, with the cache": shown("cached", "alone"),
      "with Redis and no near tier": shown("redis alone", "alone"),
      "without caching": shown("uncached", "alone"),
      "99th percentile with the cache": less("cached", "alone", 0.99).text,
      "median with Redis and no near tier": less("redis alone", "alone", 0.5).text,
      [`median with the cache, ${crowd} at a time on a busy machine`]: less("cached", "crowded", 0.5).text,
      "rounds of the latencies": of("cached", "alone").length,
      "reads of each": of("cached", "alone").flat().length,
    },
  };
}

function percentLess(ratio: number): string {
  return `${Math.round((1 - ratio) * 100)} %`;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
