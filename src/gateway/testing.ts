import { connect } from "node:net";
import type { CallContext } from "../base/index.ts";
import type { AnyMethod } from "../service/index.ts";
import { compileOperations, contract } from "../service/index.ts";
import { createLogger } from "../telemetry/index.ts";
import type { Gateway, GatewayOptions, GatewayRoute } from "./gateway.ts";
import { createGateway } from "./gateway.ts";

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

/** Sends bytes, ends when the server closes or nothing has come for `quietMs`. */
export function talk(
  port: number,
  parts: string | readonly (string | Buffer | number)[],
  quietMs = 100,
): Promise<string> {
  return new Promise((resolve) => {
    let got = "";
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(got);
    };
    let timer = setTimeout(finish, 2000);
    let sent = false;
    const rearm = () => {
      clearTimeout(timer);
      timer = setTimeout(finish, sent ? quietMs : 5000);
    };
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      got += text;
      rearm();
    });
    socket.on("error", () => {});
    socket.on("close", finish);
    socket.on("connect", async () => {
      for (const part of typeof parts === "string" ? [parts] : parts) {
        if (typeof part === "number") await new Promise((next) => setTimeout(next, part));
        else if (socket.writable) socket.write(part as string, "latin1");
      }
      sent = true;
      if (got !== "" || quietMs > 1000) rearm();
    });
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The answers in what `talk` got, bodies by their length. An answer to HEAD has none: say so. */
export function answersIn(text: string, isHead = false): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  while (rest.startsWith("HTTP/1.1 ")) {
    const end = rest.indexOf("\r\n\r\n");
    const [statusLine = "", ...lines] = rest.slice(0, end).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    rest = rest.slice(end + 4);
    const length = isHead ? 0 : Number(headers["content-length"] ?? 0);
    let body = rest.slice(0, length);
    rest = rest.slice(length);
    if (headers["transfer-encoding"] === "chunked" && !isHead) {
      for (;;) {
        const line = rest.indexOf("\r\n");
        const size = Number.parseInt(rest.slice(0, line), 16);
        if (line === -1 || !(size > 0)) {
          rest = rest.slice(line + 4);
          break;
        }
        body += rest.slice(line + 2, line + 2 + size);
        rest = rest.slice(line + 2 + size + 2);
      }
    }
    answers.push({ status: Number(statusLine.slice(9, 12)), headers, body });
  }
  return answers;
}

/** One exchange of bytes; the first answer that is not 100. */
export async function ask(
  port: number,
  request: string | readonly (string | Buffer | number)[],
  quietMs?: number,
): Promise<Answer> {
  const text = await talk(port, request, quietMs);
  const first = typeof request === "string" ? request : String(request[0]);
  const answer = answersIn(text, first.startsWith("HEAD ")).find(({ status }) => status !== 100);
  if (!answer) throw new Error(`no answer: ${JSON.stringify(text)}`);
  return answer;
}
