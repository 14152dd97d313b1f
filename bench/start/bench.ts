import type { Bench, Measured, Sheet } from "../bench.ts";
import type { Goal } from "../goals.ts";
import { installPeers, peerVersions } from "../peers.ts";
import { median } from "../rounds.ts";
import { greeters, prepare, shops } from "./candidates.ts";
import { type Launch, launch, type Started } from "./launch.ts";
import { installed, type Size, sizeOf, sizeOfPlinth } from "./size.ts";

/** How long it takes from the command to the first right answer, and how much is installed for that. */
export const start: Bench = {
  title: "Start and size",
  rounds: 7,
  seconds: 1,
  async run({ rounds, say }): Promise<Measured> {
    installPeers();
    prepare();
    const all = { ...greeters, ...shops };
    const runs = new Map<string, Started[]>(Object.keys(all).map((name) => [name, []]));
    // Once for nothing: files come from memory afterwards, and translated TypeScript from the cache of the translator.
    for (const make of Object.values(all)) await launch(make());
    for (let round = 0; round < rounds; round++) {
      for (const [name, make] of Object.entries(all)) runs.get(name)?.push(await launch(make()));
      say(`start: round ${round + 1}`);
    }
    return {
      tables: [],
      sheets: [sheetOf("the greeter", greeters, runs), sheetOf("the shop", shops, runs), sizes()],
      conditions: { pinned: false, ...peerVersions("fastify", "@nestjs/core") },
      goals: [
        goalOf("the greeter in TypeScript", runs.get("Plinth, in TypeScript"), 400),
        goalOf("the shop in TypeScript", runs.get("Plinth, the shop in TypeScript"), 2000),
      ],
    };
  },
};

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
