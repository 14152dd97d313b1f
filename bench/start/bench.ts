import { type Bench, type Measured, type Sheet, wantedOf } from "../bench.ts";
import type { Goal } from "../goals.ts";
import { peerVersions } from "../peers.ts";
import { measureInRounds, median, type Sample } from "../rounds.ts";
import { greeters, prepare, shops } from "./candidates.ts";
import { type Launch, launch, type Started } from "./launch.ts";
import { installed, type Size, sizeOf, sizeOfPlinth } from "./size.ts";

const greeter = "Plinth, in TypeScript";

/** How long it takes from the command to the first right answer, and how much is installed for that. */
export const start: Bench = {
  title: "Start and size",
  rounds: 7,
  seconds: 1,
  check: { rounds: 5, seconds: 1, only: [greeter] },
  async run(options): Promise<Measured> {
    const { rounds, only, say } = options;
    prepare();
    const all = { ...greeters, ...shops };
    const candidates = wantedOf(Object.keys(all), options);
    const runs = new Map<string, Started[]>(candidates.map((name) => [name, []]));
    const slice = async (name: string): Promise<Sample> => {
      const started = await launch((all[name] as () => Launch)());
      runs.get(name)?.push(started);
      return toSample(started);
    };
    // Once for nothing: files come from memory afterwards, and translated TypeScript from the cache of the translator.
    for (const name of candidates) await launch((all[name] as () => Launch)());
    say(`start: ${rounds} rounds of ${candidates.join("; ")}`);
    const starts = await measureInRounds({ name: "starts", candidates, rounds, slice });
    if (only) return { tables: [starts], conditions: { pinned: false } };
    return {
      tables: [],
      ratios: [starts],
      sheets: [sheetOf("the greeter", greeters, runs), sheetOf("the shop", shops, runs), sizes()],
      conditions: { pinned: false, ...peerVersions("fastify", "@nestjs/core") },
      goals: [
        goalOf("the greeter in TypeScript", runs.get(greeter), 400),
        goalOf("the shop in TypeScript", runs.get("Plinth, the shop in TypeScript"), 2000),
      ],
    };
  },
};

/** As a rate, so that more is better; the main thread's time, which is counted more finely than that of all. */
function toSample({ answerMs, mainMs, rssMiB }: Started): Sample {
  return { perSecond: 1000 / answerMs, p50Ms: answerMs, p99Ms: answerMs, cpuUs: mainMs * 1000, rssMiB };
}

function sheetOf(
  title: string,
  candidates: Readonly<Record<string, () => Launch>>,
  runs: ReadonlyMap<string, readonly Started[]>,
): Sheet {
  return {
    columns: [title, "first right answer, ms", "lowest to highest", "CPU ms", "of the main thread", "MiB"],
    rows: Object.keys(candidates).map((name) => {
      const of = (field: keyof Started) => (runs.get(name) ?? []).map((each) => each[field]);
      const whole = (field: keyof Started) => Math.round(median(of(field)));
      const spread = `${Math.round(Math.min(...of("answerMs")))} to ${Math.round(Math.max(...of("answerMs")))}`;
      return [name, whole("answerMs"), spread, whole("cpuMs"), whole("mainMs"), whole("rssMiB")];
    }),
  };
}

function sizes(): Sheet {
  const row = (name: string, { packages, mib, loadableMib }: Size) => [
    name,
    packages,
    mib.toFixed(1),
    loadableMib.toFixed(1),
  ];
  return {
    columns: ["installed for production", "packages", "MiB", "without maps, types and sources"],
    rows: [
      ...Object.entries(installed).map(([name, packages]) => row(name, sizeOf(name, packages))),
      row("Plinth, with its database and identity provider", sizeOfPlinth()),
    ],
  };
}

function goalOf(what: string, runs: readonly Started[] = [], atMostMs: number): Goal {
  const ms = median(runs.map(({ answerMs }) => answerMs));
  return {
    what: `${what}, command to first right answer`,
    wanted: `at most ${atMostMs} ms`,
    measured: `${Math.round(ms)} ms`,
    isReached: ms <= atMostMs,
  };
}
