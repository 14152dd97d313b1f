import type { App, Settings } from "../app/index.ts";
import { checkApp, createRuntime, readProcessSettings } from "../app/index.ts";
import { anonymous, CallScope, PlinthError, StartError, systemClock } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import { exitCodes } from "../lifecycle/index.ts";
import { createHttpClient } from "../rpc/index.ts";
import type { AnyContract, Operation } from "../service/index.ts";
import { toProblem } from "../wire/index.ts";
import { untilDelivered } from "./delivery.ts";
import { environmentOf } from "./environment.ts";
import { tellFailure } from "./failure.ts";
import { nearest } from "./nearest.ts";
import type { Terminal } from "./terminal.ts";

export interface MethodCall {
  /** "catalog.getProduct". */
  readonly method: string;
  /** JSON. */
  readonly request: string;
  readonly url: string | undefined;
  readonly token: string | undefined;
  /** Failures as problem details. */
  readonly json: boolean;
}

/** What answers calls, and is closed after. */
interface Caller {
  call(request: unknown): unknown;
  close(): Promise<unknown>;
}

/** How long a call by hand may take, in ms. */
const deadlineMs = 60_000;

/** Prints the answer, or each item of a stream on a line. A failure goes to standard error, and gives 1. */
export async function callMethod(app: App, call: MethodCall, terminal: Terminal): Promise<ExitCode> {
  const operation = findOperation(app, call.method);
  const request = parseJson(call.request);
  let caller: Caller | undefined;
  try {
    // Checked here, wherever it goes: the words are the same, and a wrong request starts nothing.
    const checked = operation.request.parse(request);
    caller =
      call.url === undefined ? await inProcess(app, operation, terminal) : overHttp(operation, call.url, call.token);
    const answer = caller.call(checked);
    if (operation.kind !== "stream") print(await answer, 2, terminal);
    else for await (const item of answer as AsyncIterable<unknown>) print(item, 0, terminal);
    return exitCodes.ok;
  } catch (thrown) {
    if (!call.json || !(thrown instanceof PlinthError)) return tellFailure(thrown, terminal.err);
    terminal.err.write(`${JSON.stringify(toProblem(thrown), null, 2)}\n`);
    return exitCodes.failed;
  } finally {
    await caller?.close();
  }
}

function print(value: unknown, indent: number, terminal: Terminal): void {
  // A method without a response answers nothing, and there is nothing to print.
  if (value !== undefined) terminal.out.write(`${JSON.stringify(value, null, indent)}\n`);
}

function findOperation(app: App, method: string): Operation {
  const all = new Map(
    [...checkApp(app).operations.values()].flatMap((service) => [...service.values()].map((each) => [each.id, each])),
  );
  const operation = all.get(method);
  if (!operation) {
    const meant = nearest(method, all.keys());
    const hint = meant === undefined ? `The app has ${[...all.keys()].join(", ")}.` : `Did you mean "${meant}"?`;
    throw new StartError("METHOD_UNKNOWN", `METHOD: there is no "${method}" in "${app.name}". ${hint}`);
  }
  if (operation.kind === "raw") {
    const { verb, path } = operation.route ?? { verb: "GET", path: "/" };
    throw new StartError(
      "METHOD_RAW",
      `METHOD: ${method} is raw HTTP, which no schema describes; call it with curl: -X ${verb} …${path}`,
    );
  }
  return operation;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new StartError("REQUEST_NO_JSON", `REQUEST: it is no JSON (${message}); write for example '{"id":"1"}'.`, {
      cause,
    });
  }
}

/** Starts the app without listening; what it logs goes to standard error, from warnings up. */
async function inProcess(app: App, operation: Operation, terminal: Terminal): Promise<Caller> {
  const environment = environmentOf(terminal);
  const settings = readProcessSettings(environment);
  const { logLevel } = settings;
  const runtime = await createRuntime(app, {
    environment,
    settings: { logLevel: environment.PLINTH_LOG ? logLevel : "warn" },
    listen: false,
    management: false,
    destination: {
      write(text, done) {
        terminal.err.write(text);
        done?.();
      },
    },
  });
  await runtime.start().catch((thrown: unknown) => {
    throw withUrlHint(thrown, operation, settings, app);
  });
  // A client whose methods are known at run time only.
  const client = runtime.client(contractOf(app, operation.service)) as unknown as Readonly<
    Record<string, (request: unknown, options: object) => unknown>
  >;
  const { response } = operation;
  // As the gateway would write it: declared fields only, bytes as text.
  const toJson = (value: unknown): unknown => (response ? JSON.parse(response.stringify(value)) : undefined);
  return {
    call(request) {
      const answer = client[operation.name]?.(request, { deadline: deadlineMs });
      return operation.kind === "stream"
        ? mapItems(answer as AsyncIterable<unknown>, toJson)
        : mapAnswer(answer, toJson);
    },
    async close() {
      // What it caused belongs to it: a mail is sent, not kept for the next start.
      const left = await untilDelivered(runtime.background, systemClock);
      if (left.length > 0)
        terminal.err.write(`not delivered yet, the app does that when it runs: ${left.join(", ")}\n`);
      await runtime.stop();
    },
  };
}

/** Most likely the app runs: then it can be called where it listens. */
function withUrlHint(thrown: unknown, { id, route }: Operation, settings: Settings, { gateway }: App): unknown {
  if (!(thrown instanceof StartError) || thrown.reason !== "DATA_DIRECTORY_IN_USE") return thrown;
  const { host, port, tlsCertificates } = settings;
  const isTls = tlsCertificates !== undefined || (gateway.tls !== undefined && gateway.tls.at !== "proxy");
  const scheme = isTls ? "https" : "http";
  const hint = route
    ? `If that is this app, call it where it listens: plinth call ${id} … --url ${scheme}://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`
    : `If that is this app, it cannot be called from outside: ${id} has no "http" route`;
  return new StartError(thrown.reason, [...thrown.problems, hint], { cause: thrown });
}

async function mapAnswer(answer: unknown, toJson: (value: unknown) => unknown): Promise<unknown> {
  return toJson(await answer);
}

async function* mapItems(items: AsyncIterable<unknown>, toJson: (value: unknown) => unknown): AsyncGenerator<unknown> {
  for await (const item of items) yield toJson(item);
}

function contractOf(app: App, service: string): AnyContract {
  const found = app.services.find(({ contract }) => contract.name === service);
  if (!found) throw new Error(`assertion failed: there is no contract of ${service}`);
  return found.contract;
}

function overHttp(operation: Operation, url: string, token: string | undefined): Caller {
  const { route, response } = operation;
  if (!route) {
    throw new StartError(
      "METHOD_WITHOUT_ROUTE",
      `METHOD: ${operation.id} has no "http" route, so no gateway serves it; call it without --url.`,
    );
  }
  const client = createHttpClient({
    baseUrl: url,
    ...(token !== undefined && { headers: () => ({ authorization: `Bearer ${token}` }) }),
  });
  const target = { id: operation.id, verb: route.verb, path: route.path };
  const parse = (value: unknown) => (response ? value : undefined);
  const send = operation.kind === "stream" ? client.stream(target, parse) : client.call(target, parse);
  const scope = new CallScope({ principal: anonymous, deadline: systemClock.now() + deadlineMs, caller: "cli" });
  return {
    call: (request) => send(request, scope),
    async close() {
      scope.finish();
      await client.close();
    },
  };
}
