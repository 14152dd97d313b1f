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
  process.on("disconnect", () => process.exit(0));
  if (process.connected) process.send?.({ answer: facts });
  else process.exit(0);
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssBytes: process.memoryUsage().rss };
}
