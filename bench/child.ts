/** The side of a measured program: says when it is ready, and answers what the bench asks. All answer "cpu". */
export interface Answers {
  readonly [question: string]: (input: number) => unknown;
}

export function announce(facts: unknown, answers: Answers = {}): void {
  process.on("message", ({ question, input }: { question: string; input: number }) => {
    const all: Answers = { cpu: () => process.cpuUsage(), ...answers };
    const answer = async () => (await all[question]?.(input)) ?? null;
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
