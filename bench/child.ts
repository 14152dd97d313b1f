/** The side of a measured program: says when it is ready, and answers what the bench asks. All answer "usage". */
export interface Answers {
  readonly [question: string]: (input: number) => unknown;
}

/** What a process has taken so far. */
export interface Usage {
  readonly cpuUs: number;
  /** Its memory, as the system counts it: resident set. */
  readonly rssBytes: number;
}

export function announce(facts: unknown, answers: Answers = {}): void {
  const profiled = profile();
  process.on("message", ({ question, input }: { question: string; input: number }) => {
    const all: Answers = { usage, ...answers };
    const answer = async () => {
      if (!all[question]) throw new Error(`it does not know "${question}"`);
      return (await all[question](input)) ?? null;
    };
    answer().then(
      (value) => process.send?.({ answer: value }),
      (thrown) => process.send?.({ failure: String(thrown) }),
    );
  });
  // Whoever measures is gone: nobody would end this process.
  process.on("disconnect", () => void profiled.then((stop) => stop()).finally(() => process.exit(0)));
  if (process.connected) process.send?.({ answer: facts });
  else process.exit(0);
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssBytes: process.memoryUsage().rss };
}

/** Where the bench was told to (`--profile`); Bun has no profiler of this kind. Answers what ends it. */
async function profile(): Promise<() => Promise<void>> {
  const { PLINTH_BENCH_PROFILE: folder, PLINTH_BENCH_NAME: name = "program" } = process.env;
  if (folder === undefined || process.versions.bun !== undefined) return async () => {};
  const { startProfile } = await import("./profiler.ts");
  return startProfile(`${folder}/${name}-${process.pid}`);
}
