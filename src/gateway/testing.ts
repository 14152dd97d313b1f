import { connect } from "node:net";
import type { CallContext } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { AnyMethod } from "../service/index.ts";
import { compileOperations, contract } from "../service/index.ts";
import { createLogger } from "../telemetry/index.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import { createGateway } from "./gateway.ts";
import type { GatewayRoute } from "./gateway-route.ts";

/** For tests of this room only: a gateway around plain handlers, and a client that speaks bytes. */
export interface TestMethod {
  readonly method: AnyMethod;
  readonly handle: (request: any, context: CallContext) => unknown;
}

export function routesOf(methods: Readonly<Record<string, TestMethod>>, service = "test"): GatewayRoute[] {
  const problems: string[] = [];
  const definitions = Object.fromEntries(Object.entries(methods).map(([name, { method }]) => [name, method]));
  const operations = compileOperations(contract(service, { methods: definitions }), problems);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return [...operations.values()].map((operation) => {
    const { handle } = methods[operation.name] as TestMethod;
    if (operation.kind === "stream") {
      return { operation, stream: (request, context) => handle(request, context) as AsyncIterable<unknown> };
    }
    return { operation, call: async (request, context) => handle(request, context) };
  });
}

export const silent = () => createLogger({ level: "silent" });

export function testGateway(
  methods: Readonly<Record<string, TestMethod>>,
  options: Partial<GatewayOptions> = {},
): Gateway {
  return createGateway({
    routes: routesOf(methods),
    host: "127.0.0.1",
    port: 0,
    mode: "test",
    log: silent(),
    ...options,
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Talk {
  /** Everything that came, byte for byte (latin1). */
  readonly text: string;
  readonly answers: readonly Answer[];
  /** The server closed the connection. */
  readonly closed: boolean;
}

/** Bytes to send, and pauses in milliseconds. */
export type Parts = string | readonly (string | Buffer | number)[];

export interface TalkOptions {
  /** Ends as soon as so many answers (1xx do not count) are complete. Default: when the server closes. */
  readonly answers?: number;
  /** Ends when nothing has come for so long. Default 5 s. */
  readonly quietMs?: number;
}

/** Speaks bytes to a port, and reads what comes back. */
export function talk(port: number, parts: Parts, options: TalkOptions = {}): Promise<Talk> {
  return new Promise((resolve) => {
    const pieces = typeof parts === "string" ? [parts] : parts;
    const isHead = String(pieces[0]).startsWith("HEAD ");
    const { answers: wanted = Number.POSITIVE_INFINITY, quietMs = 5000 } = options;
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let text = "";
    const finish = (closed: boolean) => {
      cancel();
      socket.destroy();
      resolve({ text, answers: answersIn(text, isHead).filter(({ status }) => status >= 200), closed });
    };
    let cancel = systemClock.after(quietMs + 5000, () => finish(false));
    const rearm = () => {
      cancel();
      cancel = systemClock.after(quietMs, () => finish(false));
    };
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
      if (answersIn(text, isHead).filter(({ status }) => status >= 200).length >= wanted) finish(false);
      else rearm();
    });
    socket.on("error", () => {});
    socket.on("close", () => finish(true));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        if (typeof piece === "number") await systemClock.sleep(piece);
        else if (socket.writable) socket.write(piece as string, "latin1");
      }
      rearm();
    });
  });
}

/** The complete answers in a text, bodies by their length. Answers to HEAD have none: say so. */
export function answersIn(text: string, isHead = false): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  while (rest.startsWith("HTTP/1.1 ")) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) break;
    const [statusLine = "", ...lines] = rest.slice(0, end).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const status = Number(statusLine.slice(9, 12));
    rest = rest.slice(end + 4);
    const hasBody = !isHead && status >= 200 && status !== 204 && status !== 304;
    const body = !hasBody
      ? ""
      : headers["transfer-encoding"] === "chunked"
        ? chunksIn(rest)
        : plainIn(rest, headers["content-length"]);
    if (body === undefined) break;
    answers.push({ status, headers, body: typeof body === "string" ? body : body.body });
    rest = rest.slice(body.length);
  }
  return answers;
}

function plainIn(text: string, length: string | undefined): string | undefined {
  const wanted = Number(length ?? 0);
  return text.length >= wanted ? text.slice(0, wanted) : undefined;
}

function chunksIn(text: string): { readonly body: string; readonly length: number } | undefined {
  let body = "";
  let at = 0;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (line === -1 || text.length < line + 2 + size + 2) return undefined;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
    if (size === 0) return { body, length: at };
  }
}

/** Sends one request, gives the first answer. */
export async function ask(port: number, parts: Parts): Promise<Answer> {
  const { answers, text } = await talk(port, parts, { answers: 1 });
  const answer = answers[0];
  if (!answer) throw new Error(`no answer: ${JSON.stringify(text)}`);
  return answer;
}

/** The bytes of a request: `request("GET /a", { accept: "text/html" })`. A string body has its length told. */
export function request(line: string, headers: Readonly<Record<string, string>> = {}, body?: string | Buffer): string {
  const bytes = body === undefined ? undefined : Buffer.from(body).toString("latin1");
  const all: Record<string, string> = { Host: "test", ...headers };
  if (bytes !== undefined) {
    all["Content-Length"] ??= String(bytes.length);
    all["Content-Type"] ??= "application/json";
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n${bytes ?? ""}`;
}
