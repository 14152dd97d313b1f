import { existsSync, readFileSync } from "node:fs";
import type { Runtime } from "node:inspector";
import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";

/** Where a frame of a profile belongs: `{ name: "parse  gateway/body.ts:27", part: "Plinth: gateway" }`. */
export interface Place {
  readonly name: string;
  readonly part: string;
}

const nodeParts: readonly [url: RegExp, part: string][] = [
  [/^node:(?:_http|http|internal\/http)/, "Node: HTTP"],
  [/^node:(?:net|stream|_stream|internal\/stream)/, "Node: sockets and streams"],
  [/^node:/, "Node: events, ticks, timers and the rest"],
];
const nativeParts: readonly [name: RegExp, part: string][] = [
  [/^\(garbage collector\)$/, "garbage collection"],
  [/^\(program\)$/, "V8, libuv and the kernel"],
  [/^(?:write|WriteWrap|shutdown)/, "writing to sockets"],
  [/^RegExp: /, "regular expressions"],
  [/^/, "native functions"],
];

/** What is measured is a bundle: its maps say which file, and so which room, a line of it came from. They have to be there still. */
export function createPlaces(): (frame: Runtime.CallFrame) => Place {
  const maps = new Map<string, SourceMap | undefined>();
  const mapOf = (url: string): SourceMap | undefined => {
    if (!maps.has(url)) maps.set(url, readMap(url));
    return maps.get(url);
  };
  return ({ functionName, scriptId, url, lineNumber, columnNumber }) => {
    const called = functionName || "(anonymous)";
    if (url === "") {
      // Functions of V8 and of Node's own C++ are in no script.
      return scriptId === "0"
        ? { name: called, part: partOf(called, nativeParts) }
        : { name: called, part: "compiled from schemas and routes" };
    }
    if (url.startsWith("node:")) return { name: `${called}  ${url}:${lineNumber + 1}`, part: partOf(url, nodeParts) };
    const found = mapOf(url)?.findEntry(lineNumber, columnNumber);
    return found && "originalSource" in found
      ? placeIn(called, found.originalSource, found.originalLine + 1)
      : placeIn(called, url, lineNumber + 1);
  };
}

function partOf(text: string, parts: readonly [RegExp, string][]): string {
  return parts.find(([pattern]) => pattern.test(text))?.[1] ?? "";
}

function placeIn(called: string, source: string, line: number): Place {
  const [, name, rest] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/.exec(source) ?? [];
  if (name !== undefined && name !== "plinth")
    return { name: `${called}  ${name}/${rest}:${line}`, part: `package ${name}` };
  const own = /^(?:.*\/)?src\/(.*)$/.exec(source)?.[1];
  if (own !== undefined) {
    const room = /^(.*?)\//.exec(own)?.[1];
    return { name: `${called}  ${own}:${line}`, part: room === undefined ? "Plinth" : `Plinth: ${room}` };
  }
  return { name: `${called}  ${source.replace(/^.*\/programs\//, "")}:${line}`, part: "the program of the bench" };
}

function readMap(url: string): SourceMap | undefined {
  if (!url.startsWith("file:")) return undefined;
  const file = `${fileURLToPath(url)}.map`;
  return existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, "utf8"))) : undefined;
}
