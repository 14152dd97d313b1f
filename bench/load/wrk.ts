import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { workFolder } from "../build.ts";
import { onCore } from "../program.ts";
import type { LoadOptions, LoadRequest, LoadResult } from "./measurement.ts";

const run = promisify(execFile);

export async function runWrk({ request, connections, seconds, core }: LoadOptions): Promise<LoadResult> {
  const script = `${workFolder}/request.lua`;
  writeFileSync(script, scriptOf(request));
  // Slow is no failure: it shows in the percentiles.
  const wrk = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", script, request.url];
  const [file, args] = onCore(core, wrk);
  const { stdout } = await run(file, args);
  const line = stdout.split("\n").find((each) => each.startsWith("{"));
  if (line === undefined) throw new Error(`wrk said something else:\n${stdout}`);
  return JSON.parse(line) as LoadResult;
}

function scriptOf({ method, headers, body }: LoadRequest): string {
  const fields = Object.entries(headers).map(([name, value]) => `wrk.headers[${quoted(name)}] = ${quoted(value)}`);
  return `
wrk.method = ${quoted(method)}
${fields.join("\n")}
${body === undefined ? "" : `wrk.body = ${quoted(body)}`}

function done(summary, latency, requests)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"failures":%d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failures))
end
`;
}

/** Lua understands what JSON writes for plain ASCII text. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
