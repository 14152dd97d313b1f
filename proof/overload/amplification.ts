import { runLoadApart } from "../../bench/load/apart.ts";
import { root } from "../../scripts/source/tree.ts";
import { startFleet } from "../fleet.ts";

export interface Amplification {
  readonly requests: number;
  /** Calls that reached the leaf. */
  readonly calls: number;
  /** Attempts after the first, in all three processes. */
  readonly retries: number;
}

/** How many calls a leaf gets for each request when all of them fail. */
export async function measureAmplification(seconds: number): Promise<Amplification> {
  const fleet = await startFleet({
    appFile: `${root}proof/overload/chain.ts`,
    groups: { leaf: 1, middle: 1, front: 1 },
    environment: { PLINTH_LOG: "silent" },
    edge: "front",
  });
  try {
    const report = await runLoadApart({
      url: fleet.urls[0] ?? "",
      routes: [{ name: "ask", path: "/ask" }],
      rate: 100,
      seconds,
    });
    const texts = await Promise.all(fleet.members.map(({ ports }) => metricsOf(ports.management)));
    const sum = (pattern: RegExp) => texts.reduce((all, text) => all + sumOf(text, pattern), 0);
    return {
      requests: report.routes.ask?.sent ?? 0,
      calls: sum(/^rpc_server_call_duration_seconds_count\{[^}]*service="leaf"[^}]*\} (\d+)/gm),
      retries: sum(/^plinth_retries_total\{[^}]*\} (\d+)/gm),
    };
  } finally {
    await fleet.dispose();
  }
}

async function metricsOf(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

function sumOf(text: string, pattern: RegExp): number {
  let sum = 0;
  for (const [, value] of text.matchAll(pattern)) sum += Number(value);
  return sum;
}
