import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onCore } from "../../bench/program.ts";
import { root } from "../../scripts/source/tree.ts";
import type { Mode } from "./targets-program.ts";

/** Three servers in a process of their own. */
export interface Targets {
  readonly urls: readonly string[];
  /** The one that falls ill. */
  readonly sick: string;
  set(mode: Mode): Promise<void>;
  /** Requests so far, of each; health checks are not counted. */
  counts(): Promise<readonly number[]>;
  stop(): Promise<void>;
}

const order: readonly Mode[] = ["well", "slow", "failing", "gray"];

export async function startTargets(): Promise<Targets> {
  const file = fileURLToPath(new URL("./targets-program.ts", import.meta.url));
  const [execPath, [...execArgv]] = onCore(0, [process.execPath]);
  const child = fork(file, [], {
    cwd: root,
    execPath,
    execArgv: [...execArgv, "--conditions=plinth:source", "--import", "tsx"],
  });
  const ports = await answerOf<readonly number[]>(child);
  const ask = <T>(question: string, input = 0): Promise<T> => {
    const answer = answerOf<T>(child);
    child.send({ question, input });
    return answer;
  };
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  return {
    urls,
    sick: urls[2] ?? "",
    set: (mode) => ask("mode", order.indexOf(mode)),
    counts: () => ask("counts"),
    async stop() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, "message", { signal: AbortSignal.timeout(20_000) })) as [{ answer: T }];
  return message.answer;
}
