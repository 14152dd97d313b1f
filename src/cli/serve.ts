import type { Addresses, App } from "../app/index.ts";
import { createRuntime } from "../app/index.ts";
import { systemClock } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import { pagesOf } from "../generators/index.ts";
import { hasParent, stopWithParent, tellParent } from "./parent.ts";
import type { Screen, Terminal } from "./terminal.ts";

export interface ServeOptions {
  readonly group: string | undefined;
  readonly port: number | undefined;
  readonly environment: Environment;
}

/** Runs an app, or one group of it, in this process, until a signal ends it. */
export async function serve(app: App, options: ServeOptions, terminal: Terminal): Promise<void> {
  const runtime = await createRuntime(app, {
    group: options.group,
    environment: options.environment,
    pages: pagesOf,
    ...(options.port !== undefined && { settings: { port: options.port } }),
  });
  // Before the start: a signal may come while it is under way.
  runtime.ownProcess();
  if (hasParent()) stopWithParent();
  const addresses = await runtime.start();
  if (hasParent()) tellParent(addresses);
  else {
    const name = options.group === undefined ? app.name : `${app.name}/${options.group}`;
    tellReady(name, addresses, app.gateway.docs !== false, terminal.err);
  }
}

/** That it serves, since how long after the start of this process (the clock begins there), and where it listens. */
export function tellReady(name: string, addresses: Addresses, hasDocs: boolean, screen: Screen): void {
  screen.write(`${readyIn(name, screen)}\n${addressLines(addresses, hasDocs, "  ", screen)}`);
}

/** The same of several processes, by their names. */
export function tellAllReady(
  name: string,
  members: ReadonlyMap<string, Addresses>,
  hasDocs: boolean,
  screen: Screen,
): void {
  const each = [...members].map(([member, addresses]) => {
    return `  ${screen.style("bold", member)}\n${addressLines(addresses, hasDocs, "    ", screen)}`;
  });
  screen.write(`${readyIn(name, screen)}, ${members.size} processes\n${each.join("")}`);
}

function readyIn(name: string, screen: Screen): string {
  return `${screen.style("green", "ready")} ${screen.style("bold", name)} in ${(systemClock.now() / 1000).toFixed(2)} s`;
}

function addressLines(addresses: Addresses, hasDocs: boolean, indent: string, screen: Screen): string {
  const { gateway, rpc, management } = addresses;
  const lines = [
    ["API", gateway],
    ["reference", gateway !== undefined && hasDocs ? `${gateway}/docs` : undefined],
    ["calls from other processes", rpc],
    ["probes and metrics", management],
  ].filter((line): line is [string, string] => line[1] !== undefined);
  const width = Math.max(0, ...lines.map(([title]) => title.length));
  return lines
    .map(([title, address]) => `${indent}${title.padEnd(width)}  ${screen.style("cyan", address)}\n`)
    .join("");
}
