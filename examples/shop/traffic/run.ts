import { parseArgs } from "node:util";
import { toText } from "./report.ts";
import { createTraffic } from "./traffic.ts";

/** `npm run shop:traffic`: traffic against a shop that runs, and what was measured. Exit code 1 when it went badly. */
const usage = `npm run shop:traffic -- [--url http://127.0.0.1:8080] [--rate 200] [--seconds 30] [--users 50] [--seed N] [--json]

  --rate      operations in a second, whatever the shop makes of them
  --users     customers; the operations that run at one time
  --seed      the same number does the same things in the same order
  --json      the report as JSON and nothing else

Exit code 1 when an answer was wrong or more than 1 % failed, 2 when it was called wrongly.`;

interface Line {
  readonly url: string;
  readonly json: boolean;
  readonly rate: number;
  readonly seconds: number;
  readonly users: number;
  readonly seed: number;
}

/** Throws what is wrong, in words. Undefined when only help is wanted. */
function readLine(args: readonly string[]): Line | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: "string", default: "http://127.0.0.1:8080" },
      rate: { type: "string", default: "200" },
      seconds: { type: "string", default: "30" },
      users: { type: "string", default: "50" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: "rate" | "seconds" | "users" | "seed", min: number, max: number) => {
    const value = Number(values[name]);
    if (!Number.isFinite(value) || value < min || value > max) {
      throw new Error(`--${name} ${values[name]} is not a number from ${min} to ${max}`);
    }
    return value;
  };
  if (!URL.canParse(values.url)) throw new Error(`--url ${values.url} is no address, such as http://127.0.0.1:8080`);
  return {
    url: values.url,
    json: values.json,
    rate: number("rate", 0.1, 20_000),
    seconds: number("seconds", 0.1, 86_400),
    users: Math.floor(number("users", 1, 5_000)),
    seed: Math.floor(number("seed", 0, 2 ** 32 - 1)),
  };
}

async function main(): Promise<number> {
  let line: Line | undefined;
  try {
    line = readLine(process.argv.slice(2));
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : thrown}\n\n${usage}\n`);
    return 2;
  }
  if (!line) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const traffic = createTraffic(line);
  process.once("SIGINT", () => traffic.stop());
  const say = (text: string) => line.json || process.stderr.write(text);
  say(`${line.users} customers at ${line.url}, ${line.rate}/s for ${line.seconds} s, seed ${line.seed}\n`);
  try {
    const report = await traffic.run();
    process.stdout.write(line.json ? `${JSON.stringify({ seed: line.seed, ...report })}\n` : toText(report));
    return report.good ? 0 : 1;
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : thrown}: is there a shop at ${line.url}?\n`);
    return 1;
  }
}

process.exitCode = await main();
