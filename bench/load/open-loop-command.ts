import { parseArgs } from "node:util";
import { runLoad } from "./open-loop.ts";
import type { LoadReport } from "./open-loop-shots.ts";
import { judgeLoad, loadText } from "./open-loop-text.ts";

/** `npm run load -- URL`: an open loop on the command line. Exit code 1 when a bound did not hold. */
const usage = `npm run load -- URL --rate 1000 --seconds 30 [--p99 200] [--errors 0]

  Requests begin at a constant rate, whatever became of those before, and are timed from the moment at which they were
  meant to begin, so that a server that stands still is seen to stand still.

  --rate          requests in a second
  --seconds       for how long; --warm 3 sends for so long before, uncounted
  --method, --body, --header "name: value" (again for each), --bearer TOKEN
  --path /a=3     instead of the URL's own path, with its share; again for each
  --arrivals      "poisson" (default), as if each client decided by itself, or "constant"
  --connections   at most so many at a time; default 512. More requests wait, and that counts
  --timeout       in milliseconds, until a client gives up; default 5000
  --p99           exit with 1 unless 99 of 100 answers came within so many milliseconds
  --errors        exit with 1 when a larger share failed (no 2xx, no answer); default 0
  --json          the report as JSON and nothing else

Exit code 1 when a bound did not hold, 2 when it was called wrongly, 3 when this program could not keep up with the rate.`;

const options = {
  rate: { type: "string", default: "100" },
  seconds: { type: "string", default: "10" },
  warm: { type: "string", default: "0" },
  method: { type: "string" },
  body: { type: "string" },
  header: { type: "string", multiple: true, default: [] as string[] },
  bearer: { type: "string" },
  path: { type: "string", multiple: true, default: [] as string[] },
  arrivals: { type: "string", default: "poisson" },
  connections: { type: "string", default: "512" },
  timeout: { type: "string", default: "5000" },
  p99: { type: "string" },
  errors: { type: "string", default: "0" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

async function main(args: readonly string[]): Promise<number> {
  let line: ReturnType<typeof readLine>;
  try {
    line = readLine(args);
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : thrown}\n\n${usage}\n`);
    return 2;
  }
  if (!line) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { plan, bounds, json } = line;
  const report: LoadReport = await runLoad(plan);
  const verdict = judgeLoad(report, bounds);
  process.stdout.write(json ? `${JSON.stringify({ ...report, ...verdict })}\n` : loadText(report, verdict));
  if (verdict.problems.length > 0) return 1;
  return verdict.isBlurred ? 3 : 0;
}

/** Throws what is wrong, in words. Undefined when only help is wanted. */
function readLine(args: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  if (values.help) return undefined;
  const [address] = positionals;
  if (positionals.length !== 1 || address === undefined || !/^https?:/.test(address) || !URL.canParse(address)) {
    throw new Error("say one address, such as http://127.0.0.1:8080/products");
  }
  const { arrivals } = values;
  if (arrivals !== "poisson" && arrivals !== "constant")
    throw new Error(`--arrivals ${arrivals} is neither poisson nor constant`);
  const url = new URL(address);
  const headers = Object.fromEntries(values.header.map(headerOf));
  if (values.bearer !== undefined) headers.authorization = `Bearer ${values.bearer}`;
  if (values.body !== undefined) headers["content-type"] ??= "application/json";
  const request = {
    method: values.method ?? (values.body === undefined ? "GET" : "POST"),
    headers,
    ...(values.body !== undefined && { body: values.body }),
  };
  const paths = values.path.length > 0 ? values.path.map(pathOf) : [{ path: url.pathname + url.search, weight: 1 }];
  return {
    plan: {
      url: url.origin,
      routes: paths.map(({ path, weight }) => ({ name: `${request.method} ${path}`, path, weight, ...request })),
      rate: numberOf("rate", values.rate, 0.01, 100_000),
      seconds: numberOf("seconds", values.seconds, 0.1, 86_400),
      warmSeconds: numberOf("warm", values.warm, 0, 3_600),
      connectionsMax: numberOf("connections", values.connections, 1, 20_000),
      timeoutMs: numberOf("timeout", values.timeout, 1, 600_000),
      arrivals: arrivals as "poisson" | "constant",
    },
    bounds: {
      p99Ms: values.p99 === undefined ? undefined : numberOf("p99", values.p99, 0, 600_000),
      errorShare: numberOf("errors", values.errors, 0, 1),
    },
    json: values.json,
  };
}

function headerOf(text: string): [name: string, value: string] {
  const match = /^([\w!#$%&'*+.^`|~-]+): *([^\r\n]*)$/.exec(text);
  if (!match) throw new Error(`--header ${text}: write "name: value"`);
  return [(match[1] as string).toLowerCase(), match[2] as string];
}

function pathOf(text: string): { path: string; weight: number } {
  const match = /^(\/[^\s]*?)(?:=([\d.]+))?$/.exec(text);
  if (!match) throw new Error(`--path ${text}: write /path or /path=share`);
  return { path: match[1] as string, weight: Number(match[2] ?? 1) };
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text === "" || !(value >= min && value <= max)) {
    throw new Error(`--${name} ${text} is not a number from ${min} to ${max}`);
  }
  return value;
}

process.exitCode = await main(process.argv.slice(2));
